//! The words of the capabilities: elements named as IANA's registries had them. What is registered since is an extension.

use super::{NAMESPACE, PREFIX};
use crate::rpid::enumeration::words;

words! {
    /// Who answers (§3.2.19).
    Actor of NAMESPACE, PREFIX:
    Attendant "attendant", Information "information", MsgTaker "msg-taker", Principal "principal",
}

words! {
    /// The setting that a service is used in (§3.2.11).
    Class of NAMESPACE, PREFIX: Business "business", Personal "personal",
}

words! {
    /// Whether media are sent and received at a time (§3.2.12).
    Duplex of NAMESPACE, PREFIX: Full "full", Half "half", ReceiveOnly "receive-only", SendOnly "send-only",
}

words! {
    /// SIP event packages (§3.2.14).
    EventPackage of NAMESPACE, PREFIX:
    Conference "conference", Dialog "dialog", Kpml "kpml", MessageSummary "message-summary", PocSettings "poc-settings",
    Presence "presence", Reg "reg", Refer "refer", SiemensRtpStats "Siemens-RTP-Stats", SpiritsIndps "spirits-INDPs",
    SpiritsUserProf "spirits-user-prof", Winfo "winfo",
}

words! {
    /// SIP methods (§3.2.16).
    Method of NAMESPACE, PREFIX:
    Ack "ACK", Bye "BYE", Cancel "CANCEL", Info "INFO", Invite "INVITE", Message "MESSAGE", Notify "NOTIFY",
    Options "OPTIONS", Prack "PRACK", Publish "PUBLISH", Refer "REFER", Register "REGISTER", Subscribe "SUBSCRIBE",
    Update "UPDATE",
}

words! {
    /// SIP extensions, by option tag (§3.2.17).
    Extension of NAMESPACE, PREFIX:
    Rel100 "rel100", EarlySession "early-session", EventList "eventlist", FromChange "from-change", Gruu "gruu",
    HistInfo "hist-info", Join "join", NoReferSub "norefersub", Path "path", Precondition "precondition", Pref "pref",
    Privacy "privacy", RecipientListInvite "recipient-list-invite", RecipientListSubscribe "recipient-list-subscribe",
    Replaces "replaces", ResourcePriority "resource-priority", SdpAnat "sdp-anat", SecAgree "sec-agree",
    TDialog "tdialog", Timer "timer",
}

words! {
    /// Whether a device moves (§3.3.2).
    Mobility of NAMESPACE, PREFIX: Fixed "fixed", Mobile "mobile",
}
