//! The words of RPID's enumerations.

use super::enumeration::words;
use super::{NAMESPACE, PREFIX};

/// The registry of place types (RFC 4589).
pub const LOCATION_TYPE: &str = "urn:ietf:params:xml:ns:location-type";
const LOCATION_TYPE_PREFIX: &str = "lt";

words! {
    /// What a person does (RFC 4480 §3.2). `lunch` is in the text of the RFC, not in its schema.
    Activity of NAMESPACE, PREFIX:
    Appointment "appointment", Away "away", Breakfast "breakfast", Busy "busy", Dinner "dinner", Holiday "holiday",
    InTransit "in-transit", LookingForWork "looking-for-work", Lunch "lunch", Meal "meal", Meeting "meeting",
    OnThePhone "on-the-phone", Performance "performance", PermanentAbsence "permanent-absence", Playing "playing",
    Presentation "presentation", Shopping "shopping", Sleeping "sleeping", Spectator "spectator", Steering "steering",
    Travel "travel", Tv "tv", Unknown "unknown", Vacation "vacation", Working "working", Worship "worship",
}

words! {
    /// How a person feels (RFC 4480 §3.5).
    Mood of NAMESPACE, PREFIX:
    Afraid "afraid", Amazed "amazed", Angry "angry", Annoyed "annoyed", Anxious "anxious", Ashamed "ashamed", Bored "bored",
    Brave "brave", Calm "calm", Cold "cold", Confused "confused", Contented "contented", Cranky "cranky", Curious "curious",
    Depressed "depressed", Disappointed "disappointed", Disgusted "disgusted", Distracted "distracted",
    Embarrassed "embarrassed", Excited "excited", Flirtatious "flirtatious", Frustrated "frustrated", Grumpy "grumpy",
    Guilty "guilty", Happy "happy", Hot "hot", Humbled "humbled", Humiliated "humiliated", Hungry "hungry", Hurt "hurt",
    Impressed "impressed", InAwe "in_awe", InLove "in_love", Indignant "indignant", Interested "interested",
    Invincible "invincible", Jealous "jealous", Lonely "lonely", Mean "mean", Moody "moody", Nervous "nervous",
    Neutral "neutral", Offended "offended", Playful "playful", Proud "proud", Relieved "relieved", Remorseful "remorseful",
    Restless "restless", Sad "sad", Sarcastic "sarcastic", Serious "serious", Shocked "shocked", Shy "shy", Sick "sick",
    Sleepy "sleepy", Stressed "stressed", Surprised "surprised", Thirsty "thirsty", Unknown "unknown", Worried "worried",
}

words! {
    /// Where a person is (RFC 4480 §3.7). The registry grows: what it has beyond these is an extension.
    PlaceType of LOCATION_TYPE, LOCATION_TYPE_PREFIX:
    Aircraft "aircraft", Airport "airport", Arena "arena", Automobile "automobile", Bank "bank", Bar "bar", Bicycle "bicycle",
    Bus "bus", BusStation "bus-station", Cafe "cafe", Classroom "classroom", Club "club", Construction "construction",
    ConventionCenter "convention-center", Government "government", Hospital "hospital", Hotel "hotel", Industrial "industrial",
    Library "library", Motorcycle "motorcycle", Office "office", Other "other", Outdoors "outdoors", Parking "parking",
    PlaceOfWorship "place-of-worship", Prison "prison", Public "public", PublicTransport "public-transport",
    Residence "residence", Restaurant "restaurant", School "school", ShoppingArea "shopping-area", Stadium "stadium",
    Store "store", Street "street", Theater "theater", Train "train", TrainStation "train-station", Truck "truck",
    Underway "underway", Unknown "unknown", Warehouse "warehouse", Water "water", Watercraft "watercraft",
}

words! {
    /// What others near the person are unlikely to hear or see (RFC 4480 §3.8).
    Privacy of NAMESPACE, PREFIX: Audio "audio", Text "text", Unknown "unknown", Video "video",
}

words! {
    /// How somebody else who is reached relates to the person (RFC 4480 §3.9).
    Relationship of NAMESPACE, PREFIX:
    Assistant "assistant", Associate "associate", Family "family", Friend "friend", Self_ "self", Supervisor "supervisor",
    Unknown "unknown",
}

words! {
    /// How a service delivers (RFC 4480 §3.10).
    ServiceClass of NAMESPACE, PREFIX:
    Courier "courier", Electronic "electronic", Freight "freight", InPerson "in-person", Postal "postal", Unknown "unknown",
}

words! {
    /// The role that a person plays (RFC 4480 §3.11).
    Sphere of NAMESPACE, PREFIX: Home "home", Unknown "unknown", Work "work",
}

words! {
    /// How a place suits speaking and hearing (RFC 4480 §3.6).
    AudioPlace of NAMESPACE, PREFIX: Noisy "noisy", Ok "ok", Quiet "quiet", Unknown "unknown",
}

words! {
    /// How a place suits being seen (RFC 4480 §3.6).
    VideoPlace of NAMESPACE, PREFIX: Dark "dark", Ok "ok", TooBright "toobright", Unknown "unknown",
}

words! {
    /// How a place suits typing (RFC 4480 §3.6).
    TextPlace of NAMESPACE, PREFIX: Inappropriate "inappropriate", Ok "ok", Uncomfortable "uncomfortable", Unknown "unknown",
}
