-- Settings of Signalbox. This is Lua, run once at the start. `signalbox check etc/signalbox.lua` validates it without starting.
-- A line that is commented out shows the default, or an example if the default is "nothing". Relative paths start at the folder
-- that the server runs in. A span of time is a number of seconds, or text such as "500ms", "30s", "5m", "2h", "1d".

-- Where to listen: protocol:address:port. 0.0.0.0 stands for all IPv4 addresses that this machine has at the start, [::] for
-- all IPv6 addresses: "udp:[::]:5060".
listen { "udp:0.0.0.0:5060", "tcp:0.0.0.0:5060" }

-- Our domains. `is_myself` is true for them and for the addresses that we listen on. Users register as user@domain.
alias { "localhost", "example.com" }

-- The name or address to write into Via and Record-Route. Needed behind NAT, where others see another address than we do.
-- advertise "203.0.113.5"

-- Threads that handle messages. The default is one per processor.
-- workers(4)

-- Megabytes of memory that are taken from the system at the start and kept. Otherwise memory is taken as the load grows, which slows
-- down single messages. A thousand messages of the last half minute need one megabyte.
-- preallocate(0)

-- How much to log: off, error, warn, info, debug or trace. The format is "human" or "json". Single modules may have another level;
-- "core" and "script" count as modules.
-- log { level = "info", format = "human", modules = { registrar = "debug" } }

-- The socket that `signalbox ctl` talks to.
-- admin_socket "var/signalbox.sock"

-- The value of the Server header in our responses. If empty, there is no such header.
-- server_header ""

-- Limits of what peers and scripts can make us hold, and for how long.
-- limits {
--   instructions = 10000000,        -- Lua instructions of one request, 25 ns each; beyond that its script is stopped
--   memory = 67108864,              -- bytes of one worker's Lua state
--   connections = 16384,            -- TCP connections of one worker
--   connections_per_peer = 4096,    -- TCP connections of one worker with one peer (an IPv4 address or an IPv6 /64)
--   connect_timeout = "5s",         -- for making a TCP connection
--   idle_timeout = "1h",            -- for a TCP connection without traffic
--   first_message_timeout = "32s",  -- for the first whole message of a new TCP connection
--   message_timeout = "32s",        -- for each whole message over TCP, and one second more per 4000 octets
--   write_timeout = "2m",           -- how long a TCP peer may read nothing of what is sent to it
--   octets_per_peer = 33554432,     -- octets of unfinished TCP messages that all workers together hold for one peer
--   octets = 268435456,             -- the same for all peers together
--   drain_timeout = "5s",           -- how long a stop waits for transactions that have begun
--   overload_delay = "50ms",        -- a new request that would wait longer for its turn is refused with 503
--   wakeups = 2000,                 -- how often per second one worker wakes up at most while each wake-up brings little work
-- }

-- The key that signs the Record-Route of calls and other dialogs that pass here, so that nobody can forge one. The file is made at the
-- first start and is readable for its owner only. Keep it: calls then continue over a restart. Servers that take over each other's
-- calls share the file, or accept each other's keys with `accept`.
-- `unsigned = true` accepts a Route to this server without a signature as well, in each request with a To tag. Strangers can then send
-- through this server. Use it only while calls of a version without keys last.
-- route_key { file = "var/route.key", unsigned = false }
-- route_key { accept = { "var/other.key" } }

-- Timers of transactions (RFC 3261 §17, table 4).
-- fr is how long a relayed request waits for any response before the next target or the failure route has its turn. The default is
-- 64·t1. c is how long a call may ring. A script sets both for one request with t_set_fr.
-- timers { t1 = "500ms", t2 = "4s", t4 = "5s", c = "185s", fr = "32s" }

-- Folders to look for modules in, before the folder of the program.
-- module_path { "/usr/lib/signalbox" }

-- Modules. Each is a library that offers functions to the routing script. `signalbox doc` lists them. `signalbox doc registrar`
-- prints the parameters, functions and commands of one module.
loadmodule "registrar"
loadmodule "auth"
loadmodule "pa"
loadmodule "im_auth"

-- Parameters of modules: modparam(module, name, value).
-- Databases: "sqlite:path" needs no server. "postgres://user:password@host/name" and "mysql://…" work too.
modparam("registrar", "db_url", "sqlite:var/signalbox.db")
modparam("auth", "db_url", "sqlite:var/signalbox.db")
modparam("pa", "db_url", "sqlite:var/signalbox.db")

-- The digest algorithms that clients are offered, the preferred one first. By RFC 8760 a client skips an algorithm that it does not know,
-- but many phones, and Debian's baresip, give up instead. All clients know MD5, so this offers MD5 only. If all your clients know
-- SHA-256, remove this line: the default is "SHA-256, MD5". Accounts work with both.
modparam("auth", "algorithms", "MD5")

-- How many wrong passwords one address may send, for one account and for all accounts together. After that the address has to wait 1
-- second, and twice as long after each further wrong password. If all requests come through one proxy, set the second parameter to 0.
-- modparam("auth", "max_failures", 5)
-- modparam("auth", "max_source_failures", 30)

-- What happens to a contact beyond max_contacts: "refuse" it, or let it "replace" the one that was refreshed least recently.
-- modparam("registrar", "when_full", "refuse")

-- Who may see presence. With "none" no permission is needed: every user sees every other one. "implicit" leaves all subscriptions pending.
modparam("pa", "auth", "none")
-- Further event packages. "dialog" tells watchers about the calls of a user. Documents of all others are delivered as published.
-- modparam("pa", "events", "message-summary dialog")
-- Who may publish for other users. Each entry is a package and a user of ours or an IP address; "*" means everybody.
-- modparam("pa", "publishers", { "message-summary sip:voicemail@example.com", "dialog 192.0.2.7" })
-- Whose NOTIFY is taken as a publication although nobody subscribed to it.
-- modparam("pa", "notifiers", { "message-summary 192.0.2.7" })
-- Who may subscribe to "presence.winfo", which lists the watchers of a user: only the user ("implicit") or everybody ("none").
-- modparam("pa", "winfo_auth", "implicit")
-- Whether store_winfo and dump_stored_winfo keep the watchers of users who are away. The default is 0.
-- modparam("pa", "use_offline_winfo", 1)
-- Which of several publications of one user are told: all ("union"), the newest one ("newest"), or the one whose open contact
-- has the highest priority ("priority").
-- modparam("pa", "composition", "union")
-- Least time between two NOTIFYs to one watcher about changes.
-- modparam("pa", "notify_min_interval", "0s")
-- How long a contact that is no longer registered is shown as closed.
-- modparam("pa", "closed_grace", "20s")
-- How many subscriptions, and octets of them, are kept. "source" is the address of watchers that the script has not authenticated, and
-- "unauthenticated" all such watchers together. "watcher" is one watcher, "presentity" one user who is watched. 0 means no limit.
-- modparam("pa", "max_subscriptions_per_source", 10000)
-- modparam("pa", "max_octets_per_source", 16777216)
-- modparam("pa", "max_unauthenticated_octets", 268435456)
-- modparam("pa", "max_subscriptions_per_watcher", 2000)
-- modparam("pa", "max_octets_per_watcher", 4194304)
-- modparam("pa", "max_subscriptions_per_presentity", 100000)
-- modparam("pa", "max_octets_per_presentity", 268435456)
-- Whether other modules may subscribe without SIP. The default is 0.
-- modparam("pa", "accept_internal_subscriptions", 1)

-- Users and whole domains that may not send messages.
-- modparam("im_auth", "block", { "sip:mallory@example.com", "spam.example" })

-- The script that decides what happens to each request. scripts/proxy.lua is a simpler one.
route_script "scripts/presence.lua"
