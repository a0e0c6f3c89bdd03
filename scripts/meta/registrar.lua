---@meta
-- Generated from the tables in the code; `make stubs` writes it anew.
-- registrar: Keeps who can be reached where, as REGISTER requests say (RFC 3261 §10).

---Carries out a REGISTER and answers it: 200 with all bindings, or why not. What it returns says which of the two.
---Callable in: request.
---@param table string The location service; `location` by custom.
---@return boolean result whether the bindings were changed as asked
---@return string? reason why not
function save(table) end

---Has the request go to the contacts of an address of record: higher q first, equal q in parallel. A contact behind a NAT or on a connection is reached the way it registered, and the Path of its registration is followed.
---Callable in: request, failure.
---@param table string The location service; `location` by custom.
---@param uri? string The address of record; the Request-URI when left out.
---@return boolean result whether there is any contact
---@return string? reason why not
function lookup(table, uri) end

---Whether an address of record has a contact now.
---Callable in: request, failure, reply, branch, event, timer, start.
---@param table string The location service; `location` by custom.
---@param uri? string The address of record; the Request-URI when left out.
---@return boolean result whether it has
---@return string? reason why not
function registered(table, uri) end

---Removes the contacts of an address of record, or one of them.
---Callable in: request, failure, reply, branch, event, timer, start.
---@param table string The location service; `location` by custom.
---@param uri? string The address of record; the Request-URI when left out.
---@param contact? string The URI of the contact to remove; all when left out.
---@return boolean result whether there was one
---@return string? reason why not
function unregister(table, uri, contact) end

event_route.registrar = {}

---@class registrar.added: Event
---@field table string The location service: `location`.
---@field aor string The address of record: `sip:alice@example.com`.
---@field contact string The contact's URI.
---@field expires integer Seconds that the binding has left, 0 when it is gone.
---@field q number The contact's preference, 0 to 1.
---@field call_id string Call-ID of the REGISTER that last wrote the binding.
---@field user_agent string User-Agent of that REGISTER; empty without.
---An address of record has a contact that it did not have.
---@param event registrar.added
function event_route.registrar.added(event) end

---@class registrar.refreshed: Event
---@field table string The location service: `location`.
---@field aor string The address of record: `sip:alice@example.com`.
---@field contact string The contact's URI.
---@field expires integer Seconds that the binding has left, 0 when it is gone.
---@field q number The contact's preference, 0 to 1.
---@field call_id string Call-ID of the REGISTER that last wrote the binding.
---@field user_agent string User-Agent of that REGISTER; empty without.
---A contact was registered again: its expiry or anything else of it may differ.
---@param event registrar.refreshed
function event_route.registrar.refreshed(event) end

---@class registrar.expired: Event
---@field table string The location service: `location`.
---@field aor string The address of record: `sip:alice@example.com`.
---@field contact string The contact's URI.
---@field expires integer Seconds that the binding has left, 0 when it is gone.
---@field q number The contact's preference, 0 to 1.
---@field call_id string Call-ID of the REGISTER that last wrote the binding.
---@field user_agent string User-Agent of that REGISTER; empty without.
---The time of a contact ran out.
---@param event registrar.expired
function event_route.registrar.expired(event) end

---@class registrar.removed: Event
---@field table string The location service: `location`.
---@field aor string The address of record: `sip:alice@example.com`.
---@field contact string The contact's URI.
---@field expires integer Seconds that the binding has left, 0 when it is gone.
---@field q number The contact's preference, 0 to 1.
---@field call_id string Call-ID of the REGISTER that last wrote the binding.
---@field user_agent string User-Agent of that REGISTER; empty without.
---A contact was taken away by its user agent, the script or an administrator, or replaced by another one.
---@param event registrar.removed
function event_route.registrar.removed(event) end
