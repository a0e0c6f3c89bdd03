CREATE TABLE IF NOT EXISTS pa_offline_winfo (
    id {integer} NOT NULL PRIMARY KEY,
    uid {text} NOT NULL,
    domain {text} NOT NULL,
    package {text} NOT NULL,
    watcher {text} NOT NULL,
    display_name {text} NOT NULL,
    status {text} NOT NULL,
    created {integer} NOT NULL,
    expires {integer} NOT NULL
)
