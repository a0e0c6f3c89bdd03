ALTER TABLE pa_subscription ADD COLUMN began {integer} NOT NULL DEFAULT 0;
ALTER TABLE pa_publication ADD COLUMN modified {integer} NOT NULL DEFAULT 0
