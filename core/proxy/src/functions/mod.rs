//! The core's own script functions: rows over [`Context`](crate::context::Context).
//!
//! | file | what |
//! |---|---|
//! | [`reply`] | answering: `sl_send_reply`, `t_reply` … |
//! | [`relay`] | sending on: `t_relay`, `forward`, `append_branch`, routes armed for what follows |
//! | [`routing`] | `mf_process_maxfwd_header`, `record_route`, `loose_route`, `is_myself`, `force_rport` |

use std::sync::Arc;

use crate::module::Signature;
use crate::module::export::{Export, bind_functions};

pub mod relay;
pub mod reply;
pub mod routing;

/// The module that the core's functions belong to: it has no state.
pub struct Core;

/// The core's functions, ready for the script engine.
pub fn exports() -> Vec<Export> {
    let rows = [reply::rows(), relay::rows(), routing::rows()];
    bind_functions(&Arc::new(Core), rows.into_iter().flatten().collect())
}

/// The signatures of the core's functions.
pub fn signatures() -> Vec<Arc<Signature>> {
    exports().into_iter().map(|export| export.signature).collect()
}

/// Whether a function of this name belongs to the core.
pub fn is_core(name: &str) -> bool {
    exports().iter().any(|export| export.signature.name == name)
}
