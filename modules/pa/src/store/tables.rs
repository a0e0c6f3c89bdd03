//! The tables of subscriptions and publications: what outlives the process.

use signalbox::storage::{Column, Migration, Sql, Table};

pub(super) static SUBSCRIPTION: Table = Table {
    name: "pa_subscription",
    columns: &[
        Column::integer("id"),
        Column::text("uid"),
        Column::text("aor"),
        Column::text("domain"),
        Column::text("package"),
        Column::text("status"),
        Column::text("document"),
        Column::integer("cseq"),
        Column::integer("mark"),
        Column::integer("began"),
        Column::integer("expires"),
        Column::text("notify"),
        Column::text("flow"),
        Column::text("suppress"),
        Column::text("rates"),
    ],
    key: 1,
};

/// CSeq marks beyond those that their subscriptions were last written with: a table of its own, as nobody must write a
/// subscription that somebody else is just refreshing.
pub(super) static RESERVATION: Table =
    Table { name: "pa_reservation", columns: &[Column::integer("id"), Column::integer("mark")], key: 1 };

pub(super) static PUBLICATION: Table = Table {
    name: "pa_publication",
    columns: &[
        Column::integer("id"),
        Column::text("uid"),
        Column::text("aor"),
        Column::text("domain"),
        Column::text("package"),
        Column::integer("etag"),
        Column::integer("modified"),
        Column::integer("expires"),
        Column::text("document"),
        Column::blob("body"),
    ],
    key: 1,
};

/// Has a row after an orderly stop: every watcher had been told the state as it was.
pub(super) static STOP: Table = Table { name: "pa_stop", columns: &[Column::integer("id")], key: 1 };

pub(super) static OFFLINE_WINFO: Table = Table {
    name: "pa_offline_winfo",
    columns: &[
        Column::integer("id"),
        Column::text("uid"),
        Column::text("domain"),
        Column::text("package"),
        Column::text("watcher"),
        Column::text("display_name"),
        Column::text("status"),
        Column::integer("created"),
        Column::integer("expires"),
    ],
    key: 1,
};

pub(super) static MIGRATIONS: [Migration; 5] = [
    Migration {
        version: 1,
        name: "tables pa_subscription, pa_reservation, pa_publication",
        sql: Sql::All(include_str!("../../migrations/1_presence.sql")),
    },
    Migration {
        version: 2,
        name: "columns for when a subscription began and a publication was modified",
        sql: Sql::All(include_str!("../../migrations/2_order.sql")),
    },
    Migration {
        version: 3,
        name: "columns for what a watcher need not be told, and how often it is",
        sql: Sql::All(include_str!("../../migrations/3_wishes.sql")),
    },
    Migration { version: 4, name: "table pa_stop", sql: Sql::All(include_str!("../../migrations/4_stop.sql")) },
    Migration {
        version: 5,
        name: "table pa_offline_winfo",
        sql: Sql::All(include_str!("../../migrations/5_offline_winfo.sql")),
    },
];
