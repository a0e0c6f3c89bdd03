//! Event packages: what can be subscribed to and published. Adding one is adding a file here and a line to the registry.
//!
//! | file | what |
//! |---|---|
//! | [`package`] | what the agent must know of a package: its terms, how it reads what is published and composes what is told |
//! | [`observer`] | the hook of packages that tell of the subscriptions of another package, such as `presence.winfo` |
//! | [`teller`] | the hook of packages that tell each watcher what has changed, such as `presence.winfo` and `dialog` |
//! | [`authorization`] | who may subscribe |
//! | [`registry`] | the packages of this agent |
//! | [`presence`] | `presence` (RFC 3856) |
//! | [`winfo`] | `presence.winfo` (RFC 3857) |
//! | [`dialog`] | `dialog` (RFC 4235) |
//! | [`opaque`] | packages without code of their own: documents are delivered as they were published |

pub mod authorization;
pub mod dialog;
pub mod observer;
pub mod opaque;
pub mod package;
pub mod presence;
pub mod registry;
pub mod teller;
pub mod winfo;

pub use authorization::{Authorization, Decision};
pub use observer::{Cause, Change, Observer, Remembered};
pub use package::{EventPackage, Notified, Published, Terms};
pub use registry::{PRESENCE, PackageId, Packages};
pub use teller::{Teller, Told};
