ALTER TABLE pa_subscription ADD COLUMN suppress {text};
ALTER TABLE pa_subscription ADD COLUMN rates {text}
