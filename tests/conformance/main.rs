//! What the RFCs ask for, one module for each, laid out as the RFC is.

mod amplification;
mod hostile;
mod hostile_peers;
mod presence;
mod presence_document;
mod reload;
mod rfc3261;
mod rfc3842;
mod rfc3856;
mod rfc3857;
mod rfc3858;
mod rfc3903;
mod rfc4235;
mod rfc4320;
mod rfc4475;
mod rfc5118;
mod rfc5393;
mod rfc5839;
mod rfc6026;
mod rfc6446;
mod rfc6665;
mod shipped_script;
mod strangers;
mod timeline;
mod torture;
mod wire;
