---@meta
-- Generated from the tables in the code; `make stubs` writes it anew.

---The message that is being routed.
---@class Msg
---@field method string The method; of a response, that of its CSeq.
---@field ruri RequestUri The Request-URI; assign a string to rewrite it.
---@field status integer? The status code of a response.
---@field reason string? The reason phrase of a response.
---@field from Address From.
---@field to Address To.
---@field contact Address? The first Contact.
---@field from_tag string? The tag of From.
---@field to_tag string? The tag of To: a request that has one belongs to a dialog.
---@field call_id string Call-ID.
---@field cseq integer The number of CSeq.
---@field event string? The event package of Event, without parameters: `presence`, `presence.winfo`.
---@field expires integer? Expires in seconds; nil if missing or malformed.
---@field max_forwards integer? Max-Forwards; nil if missing or malformed.
---@field user_agent string? User-Agent.
---@field content_type string? Content-Type.
---@field body string The body; assign a string to replace it, the Content-Type stays.
---@field headers Headers All headers, by name.
---@field source Source Where the message came from: in a reply route the response, else the request; `nil` for a response that was made here.
---@field transport string The transport that the message came by: `udp` or `tcp`.
---@field response Msg? In reply and failure routes the response: the best one in a failure route.

---The Request-URI and its parts.
---@class RequestUri
---@field text string The whole URI.
---@field scheme string `sip`, `sips`, `tel` …
---@field user string? The user, with its escapes undone; can be assigned.
---@field host string? The host; can be assigned.
---@field port integer? The port, if one is written; can be assigned.
---@field params table<string, string|true> The URI's parameters; true for one without a value.
---@field aor string? The address of record: scheme, user and host (RFC 3261 §10.3).

---An address: From, To, Contact.
---@class Address
---@field text string The header's value as it came.
---@field uri string? The URI; nil if the header is malformed.
---@field display string? The display name, without quotes.
---@field user string? The user of the URI, with its escapes undone.
---@field host string? The host of the URI.
---@field port integer? The port of the URI, if one is written.
---@field tag string? The tag.
---@field params table<string, string|true> The header's parameters; true for one without a value.
---@field aor string? The address of record: scheme, user and host (RFC 3261 §10.3).

---Headers by name, full or compact, in any case.
---@class Headers
local Headers = {}
---The value of the first header of this name.
---@param name string
---@return string? value
function Headers:get(name) end
---The values of all headers of this name, lists taken apart.
---@param name string
---@return string[] values
function Headers:all(name) end
---Replaces all headers of this name by one.
---@param name string
---@param value string|number
function Headers:set(name, value) end
---Adds a header.
---@param name string
---@param value string|number
function Headers:add(name, value) end
---Removes all headers of this name, and tells how many there were.
---@param name string
---@return integer count
function Headers:remove(name) end

---Where a message came from.
---@class Source
---@field ip string
---@field port integer
---@field transport string

---Something that happened inside the server.
---@class Event
---@field name string The module and the event: `registrar.expired`.

---Values that the script and functions leave for each other. They live as long as the request.
---@type table<string, any>
avp = {}

---Routes each request that belongs to no transaction. Every script defines it: `function route(msg) … end`.
---@type fun(msg: Msg)
route = nil

---Run once, in one worker, when the server has started; not when the script is reloaded.
---@type fun()?
on_start = nil

---Routes armed by `t_on_failure`: `function failure_route.name(msg) … end`.
---@type table<string, fun(msg: Msg)>
failure_route = {}

---Routes armed by `t_on_reply`: `function reply_route.name(msg) … end`.
---@type table<string, fun(msg: Msg)>
reply_route = {}

---Routes armed by `t_on_branch`: `function branch_route.name(msg) … end`.
---@type table<string, fun(msg: Msg)>
branch_route = {}

---Run for events of modules: `function event_route.registrar.expired(event) … end`.
event_route = {}

---Runs a function again and again, in one worker, as long as the script is loaded.
---@param interval string|integer seconds, or text such as `"30s"`, `"5m"`
---@param run fun()
function every(interval, run) end

---The log: `log.info("user", name)`, or `log("info", "user", name)`.
---@class Log
---@overload fun(level: "error"|"warn"|"info"|"debug"|"trace", ...: any)
log = {}
---@param ... any
function log.error(...) end
---@param ... any
function log.warn(...) end
---@param ... any
function log.info(...) end
---@param ... any
function log.debug(...) end
---@param ... any
function log.trace(...) end

---Answers the request. Through its transaction where there is one, else without keeping state. A 2xx becomes 420 if the request has a Require: scripts that support what it names remove it first.
---Callable in: request, failure.
---@param status integer|string Status code, 100 to 699.
---@param reason? string Reason phrase; the standard's where it is left out.
---@return boolean result true once the response is on its way
---@return string? reason why not
function sl_send_reply(status, reason) end

---Answers the request; the same as `sl_send_reply`.
---Callable in: request, failure.
---@param status integer|string Status code, 100 to 699.
---@param reason? string Reason phrase; the standard's where it is left out.
---@return boolean result true once the response is on its way
---@return string? reason why not
function sl_reply(status, reason) end

---Answers the request through its transaction, which is made if there is none yet.
---Callable in: request, failure.
---@param status integer|string Status code, 100 to 699.
---@param reason? string Reason phrase; the standard's where it is left out.
---@return boolean result true once the response is on its way
---@return string? reason why not
function t_reply(status, reason) end

---Answers with the status of the step that failed last: 483 after `mf_process_maxfwd_header`, 480 after `t_relay` without a target …; 500 if none has.
---Callable in: request, failure.
---@return boolean result true once the response is on its way
---@return string? reason why not
function sl_reply_error() end

---Adds header lines to the next response that is made here: `append_to_reply("Retry-After: 5\r\n")`.
---Callable in: request, failure, reply, branch.
---@param lines string One or more lines `Name: value`.
---@return boolean result true if each line is a header
---@return string? reason why not
function append_to_reply(lines) end

---Makes the transaction of the request, so that its repetitions are absorbed from here on.
---Callable in: request.
---@return boolean result true once it exists
---@return string? reason why not
function t_newtran() end

---Tells whether the request belongs to a transaction that is known; for a CANCEL, that of the INVITE it cancels.
---Callable in: request.
---@return boolean result true if it does
---@return string? reason why not
function t_check_trans() end

---Relays the request statefully to its targets, or to its Request-URI where there are none, and answers it with the best of their responses.
---Callable in: request, failure.
---@return boolean result true once it is on its way
---@return string? reason why not
function t_relay() end

---Relays the request statefully to an address, whatever its Request-URI says.
---Callable in: request, failure.
---@param uri string Where to: `sip:192.0.2.1:5060;transport=tcp`.
---@return boolean result true once it is on its way
---@return string? reason why not
function t_relay_to(uri) end

---Sends the request on without a transaction: nothing is repeated, and responses pass through.
---Callable in: request.
---@param uri? string Where to; without it, to where the request points.
---@return boolean result true once it is on its way
---@return string? reason why not
function forward(uri) end

---Adds a target for `t_relay`.
---Callable in: request, failure.
---@param uri? string The target; without it, the present Request-URI.
---@param q? integer|string Preference in thousandths: higher ones are tried first, equal ones at once. 1000 if left out.
---@return boolean result true once it is added
---@return string? reason why not
function append_branch(uri, q) end

---Adds the contacts of a redirection (3xx) as targets for `t_relay`, higher q first. Once they are tried, the sender hears of them no more.
---Callable in: failure.
---@return boolean result true if there is any that can be tried
---@return string? reason why not
function append_redirects() end

---How long branches that are sent from now on wait before they fail with 408 and the next target or the failure route has its turn. Spans of time such as `5s` or `1500ms`; a whole number counts milliseconds, as in Kamailio. 0 leaves what `timers` in the settings says.
---Callable in: request, failure, branch.
---@param final string For a final response to an INVITE that rings, from the newest provisional response on; then it is cancelled. Of `timers`: `c`.
---@param provisional? string For any response to an INVITE, and for the final one to other requests. Of `timers`: `fr`.
---@return boolean result true
---@return string? reason why not
function t_set_fr(final, provisional) end

---Has `failure_route.name(msg)` run when all branches have failed; it may answer, or relay to further targets.
---Callable in: request, failure.
---@param name? string The name of the route; none is run when it is left out.
---@return boolean result true
---@return string? reason why not
function t_on_failure(name) end

---Has `reply_route.name(msg)` run for each response before it is passed on.
---Callable in: request, failure, branch.
---@param name? string The name of the route; none is run when it is left out.
---@return boolean result true
---@return string? reason why not
function t_on_reply(name) end

---Has `branch_route.name(msg)` run for each branch before it is sent; what it changes is changed for this branch.
---Callable in: request, failure.
---@param name? string The name of the route; none is run when it is left out.
---@return boolean result true
---@return string? reason why not
function t_on_branch(name) end

---Takes one hop off Max-Forwards. After a `false`, `sl_reply_error()` answers 483.
---Callable in: request.
---@param limit integer|string What Max-Forwards becomes where the request has none.
---@return boolean result true while hops are left
---@return string? reason why not
function mf_process_maxfwd_header(limit) end

---Stays on the way of the dialog that the request makes: relayed requests get a Record-Route, whose token `loose_route` knows again.
---Callable in: request, failure, branch.
---@param parameters? string URI parameters to add: `;nat=yes`.
---@param caller_is_ours? boolean The sender is a user of ours, as its password has shown: what follows in the dialog reaches it by the way that this request came.
function record_route(parameters, caller_is_ours) end

---Routes by the Route header: takes off what names this server, and undoes strict routing. True says that the request belongs to a dialog that passes here, as the token of `record_route` shows: relay it as it is. A request to a user of ours then goes the way that the dialog was made by. Of other requests all Routes come off.
---Callable in: request.
---@param sender_is_ours? boolean The sender is a user of ours, as its password has shown. Without it a request in a dialog must go to a user of ours, or come from one by the way that the dialog was made by.
---@return boolean result true if the request is to be relayed within its dialog; else why not: `no dialog`, `preloaded route`, `not ours`
---@return string? reason why not
function loose_route(sender_is_ours) end

---Tells whether a URI names this server: an address that it listens on, or an alias. `nil`, such as the host of a `tel:` URI, doesn't.
---Callable in: request, failure, reply, branch.
---@param uri? string A URI or a host; without it, the Request-URI.
---@return boolean result true if it does
---@return string? reason why not
function is_myself(uri) end

---Answers to the address that the request came from, also where the sender did not ask for it (RFC 3581).
---Callable in: request.
function force_rport() end
