CREATE TABLE IF NOT EXISTS location (
    id {integer} NOT NULL PRIMARY KEY,
    location {text} NOT NULL,
    aor {text} NOT NULL,
    contact {text} NOT NULL,
    q {integer} NOT NULL,
    expires {integer} NOT NULL,
    call_id {text} NOT NULL,
    cseq {integer} NOT NULL,
    path {text},
    instance {text},
    reg_id {integer},
    methods {text},
    user_agent {text},
    flow {text}
)
