---@meta
-- Generated from the tables in the code; `make stubs` writes it anew.
-- pa: Tells watchers who is online, from registrations and PUBLISH (RFC 3856, 3903, 6665).

---Carries out a SUBSCRIBE and answers it, then notifies. Sets `avp.subscription_status` to `active`, `pending`, `terminated` or `error`.
---Callable in: request, failure.
---@param domain string Whose contacts make presence: `registrar` or `jabber`.
---@param max_expires? integer|string Seconds that the subscription lasts at the most, such as for strangers; `max_subscription_expiration` when left out.
---@return boolean result whether the subscription was accepted, be it pending
---@return string? reason why not
function handle_subscription(domain, max_expires) end

---Carries out a PUBLISH and answers it, then notifies the watchers.
---Callable in: request, failure.
---@param domain string Whose contacts make presence: `registrar` or `jabber`.
---@return boolean result whether it was accepted
---@return string? reason why not
function handle_publish(domain) end

---Takes a NOTIFY that nobody has asked for as a publication, and answers it, if its sender is among `notifiers`.
---Callable in: request, failure.
---@param domain string Whose contacts make presence: `registrar` or `jabber`.
---@return boolean result whether the request has been answered
---@return string? reason why not
function handle_notify(domain) end

---Whether the presence agent serves an event package: `presence`, `presence.winfo` and those of the parameter `events`.
---Callable in: request.
---@param event string The value of Event without parameters: `msg.event`.
---@return boolean result whether it does
---@return string? reason why not
function serves_event(event) end

---Whether the user that the request is for can be reached: is registered, or has published so.
---Callable in: request, failure.
---@param domain string Whose contacts make presence: `registrar` or `jabber`.
---@return boolean result whether it can
---@return string? reason why not
function target_online(domain) end

---Remembers the watcher of a SUBSCRIBE in the database, for a user who is not there. Comes behind `handle_subscription`; wants `use_offline_winfo`.
---Callable in: request, failure.
---@param domain string Whose contacts make presence: `registrar` or `jabber`.
---@return boolean result whether the watcher is remembered
---@return string? reason why not
function store_winfo(domain) end

---Tells the user of the watchers that are remembered, by the user's subscription to watcher information. Those who were told of are forgotten when the NOTIFY was answered with 2xx.
---Callable in: request, failure.
---@param domain string Whose contacts make presence: `registrar` or `jabber`.
---@param package string What was subscribed to: `presence`.
---@return boolean result whether they are told, or there are none
---@return string? reason why not
function dump_stored_winfo(domain, package) end
