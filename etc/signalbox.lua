-- Settings of Signalbox. Lua, run once at start; `signalbox check etc/signalbox.lua` tries them without starting.
-- What is commented out shows the default. Relative paths start at the folder that the server runs in. A span of time is a
-- number of seconds, or text such as "500ms", "30s", "5m", "2h", "1d".

-- Where to listen: protocol:address:port. 0.0.0.0 stands for all IPv4 addresses that this machine has at the start, [::] for
-- those of IPv6: "udp:[::]:5060".
listen { "udp:0.0.0.0:5060", "tcp:0.0.0.0:5060" }

-- Domains that are ours: requests for them are served here, `is_myself` knows them. The addresses that we listen on are ours
-- anyway. Users register as user@domain.
alias { "localhost", "example.com" }

-- The name or address to write into Via and Record-Route, where others see another address than we do: behind NAT.
-- advertise "203.0.113.5"

-- Threads that handle messages; one per processor unless said otherwise.
-- workers(4)

-- Megabytes of memory that are taken from the system at the start and kept: what is not, is taken when the load grows, a
-- little with many a message. A thousand messages of the last half minute need one.
-- preallocate(0)

-- How much to log: off, error, warn, info, debug or trace; "human" or "json"; single modules may differ. "core" and "script"
-- count as modules.
-- log { level = "info", format = "human", modules = { registrar = "debug" } }

-- The socket that `signalbox ctl` talks to.
-- admin_socket "var/signalbox.sock"

-- What the Server header of our responses says; none if empty.
-- server_header ""

-- Bounds of what others can make us hold, and for how long.
-- limits {
--   instructions = 10000000,        -- Lua instructions of one request, of 25 ns each: more is an endless loop
--   memory = 67108864,              -- bytes of one worker's Lua state
--   connections = 16384,            -- TCP connections of one worker
--   connections_per_peer = 4096,    -- of these, with one address (of IPv6, with one /64)
--   connect_timeout = "5s",         -- for making a TCP connection
--   idle_timeout = "1h",            -- for a TCP connection without traffic
--   first_message_timeout = "32s",  -- for the first whole message of a new TCP connection
--   message_timeout = "32s",        -- for each whole message over TCP, and a second more for each 4000 octets of it
--   write_timeout = "2m",           -- a TCP peer may take nothing of what is sent to it for so long
--   octets_per_peer = 33554432,     -- of unfinished messages over TCP, of one address (of IPv6, of one /64), of all workers
--   octets = 268435456,             -- the same, of all addresses
--   drain_timeout = "5s",           -- a stop waits so long for transactions under way
--   overload_delay = "50ms",        -- new requests that would wait longer for their turn are refused with 503
--   wakeups = 2000,                 -- a second, of one worker, while there is little to do each time: it rests in between
-- }

-- What signs the Record-Route of calls and other dialogs that pass here, so that nobody can make one up: a file with a key, made
-- at the first start and readable for its owner alone. Keep it, so that calls go on over a restart; servers that take over
-- each other's calls share it, or take each other's keys by `accept`. `unsigned = true` takes every To tag and Route for a dialog, as
-- before there were keys: a stranger can then send through this server. Use it for as long as the calls of an older version last.
-- route_key { file = "var/route.key", unsigned = false }
-- route_key { accept = { "var/other.key" } }

-- Timers of transactions (RFC 3261 §17, table 4).
-- fr is how long a relayed request waits for any answer before the next target or the failure route has its turn; 64·t1 if it is left out.
-- c is how long a call may ring. A script sets both for one request by t_set_fr.
-- timers { t1 = "500ms", t2 = "4s", t4 = "5s", c = "185s", fr = "32s" }

-- Folders to look for modules in, before those beside the program.
-- module_path { "/usr/lib/signalbox" }

-- Modules, each a library that offers functions to the routing script. `signalbox doc` lists them, `signalbox doc registrar`
-- prints the parameters, functions and commands of one.
loadmodule "registrar"
loadmodule "auth"
loadmodule "pa"
loadmodule "im_auth"

-- Parameters of modules: modparam(module, name, value).
-- Databases: "sqlite:path" needs no server; "postgres://user:password@host/name" and "mysql://…" work too.
modparam("registrar", "db_url", "sqlite:var/signalbox.db")
modparam("auth", "db_url", "sqlite:var/signalbox.db")
modparam("pa", "db_url", "sqlite:var/signalbox.db")

-- The digests that clients are offered, the preferred first. RFC 8760 wants those that a client doesn't know to be passed over,
-- but many phones of today, and Debian's baresip, give up when they see one; so MD5 alone, which all know. Where all clients
-- know better, take this line away: the default is "SHA-256, MD5". Accounts are good for both.
modparam("auth", "algorithms", "MD5")

-- Wrong passwords from one address for one account, and for all accounts, before it has to wait: 1 second, then twice as long after
-- each further one. If all requests come through one proxy, set the second one to 0.
-- modparam("auth", "max_failures", 5)
-- modparam("auth", "max_source_failures", 30)

-- What becomes of a contact over max_contacts: "refuse" it, or let it "replace" the one that was refreshed least recently.
-- modparam("registrar", "when_full", "refuse")

-- Who may see presence: "none" asks nobody, so every user sees every other; "implicit" leaves all subscriptions pending.
modparam("pa", "auth", "none")
-- Further event packages: "dialog" tells of the calls of a user; documents of others are delivered as they were published.
-- modparam("pa", "events", "message-summary dialog")
-- Who may publish for other users: users of ours or addresses, each for a package; "*" is everybody.
-- modparam("pa", "publishers", { "message-summary sip:voicemail@example.com", "dialog 192.0.2.7" })
-- Whose NOTIFY is taken as a publication though nobody has asked for it.
-- modparam("pa", "notifiers", { "message-summary 192.0.2.7" })
-- Who watches a user is told by "presence.winfo": to the user alone ("implicit") or to everybody ("none").
-- modparam("pa", "winfo_auth", "implicit")
-- Watchers of users who are away are kept for store_winfo and dump_stored_winfo.
-- modparam("pa", "use_offline_winfo", 1)
-- Of several publications of one user: "union" tells all, "newest" the last one, "priority" the one with the best contact.
-- modparam("pa", "composition", "union")
-- At most one NOTIFY to a watcher in this time.
-- modparam("pa", "notify_min_interval", "0s")
-- A contact that is no longer registered is shown closed for so long.
-- modparam("pa", "closed_grace", "20s")
-- How many subscriptions, and octets of them, are kept at a time: for an address that watchers come from whom the script has not
-- authenticated, for all of those together, for one watcher, and for one presentity. 0 for no limit.
-- modparam("pa", "max_subscriptions_per_source", 10000)
-- modparam("pa", "max_octets_per_source", 16777216)
-- modparam("pa", "max_unauthenticated_octets", 268435456)
-- modparam("pa", "max_subscriptions_per_watcher", 2000)
-- modparam("pa", "max_octets_per_watcher", 4194304)
-- modparam("pa", "max_subscriptions_per_presentity", 100000)
-- modparam("pa", "max_octets_per_presentity", 268435456)
-- Subscriptions of other modules, without SIP.
-- modparam("pa", "accept_internal_subscriptions", 1)

-- Who may not send messages: users or whole domains.
-- modparam("im_auth", "block", { "sip:mallory@example.com", "spam.example" })

-- What happens to each request. scripts/proxy.lua is a plainer one.
route_script "scripts/presence.lua"
