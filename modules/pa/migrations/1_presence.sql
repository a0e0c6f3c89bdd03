CREATE TABLE IF NOT EXISTS pa_subscription (
    id {integer} NOT NULL PRIMARY KEY,
    uid {text} NOT NULL,
    aor {text} NOT NULL,
    domain {text} NOT NULL,
    package {text} NOT NULL,
    status {text} NOT NULL,
    document {text} NOT NULL,
    cseq {integer} NOT NULL,
    mark {integer} NOT NULL,
    expires {integer} NOT NULL,
    notify {text} NOT NULL,
    flow {text}
);
CREATE TABLE IF NOT EXISTS pa_reservation (
    id {integer} NOT NULL PRIMARY KEY,
    mark {integer} NOT NULL
);
CREATE TABLE IF NOT EXISTS pa_publication (
    id {integer} NOT NULL PRIMARY KEY,
    uid {text} NOT NULL,
    aor {text} NOT NULL,
    domain {text} NOT NULL,
    package {text} NOT NULL,
    etag {integer} NOT NULL,
    expires {integer} NOT NULL,
    document {text} NOT NULL,
    body {blob} NOT NULL
)
