-- A presence and messaging server for the domains of `alias`: users register with a password, see each other's presence,
-- exchange messages and call each other.
--
-- Each worker loads this script. SIGHUP or `signalbox ctl core reload` loads it again. A script with a mistake is refused with the
-- number of the line, and the old script stays. Needs: loadmodule "registrar", "auth", "pa", "im_auth".
--
-- A function that fails returns false and a reason: `local done, why = t_relay()`.

function route(msg)
  -- A request that has passed too many servers is probably in a loop.
  if not mf_process_maxfwd_header(70) then
    return sl_send_reply(483, "Too Many Hops")
  end

  -- The core handles a CANCEL that matches a transaction. One that reaches the script matches none.
  if msg.method == "CANCEL" then return sl_send_reply(481, "Call/Transaction Does Not Exist") end
  -- Without a URI in From the sender is unknown.
  if not msg.from.uri then return sl_send_reply(400, "Bad From Header") end

  if not acceptable(msg) then return end

  -- No sender is trusted to assert an identity (RFC 3325 §5). Phones would believe these headers.
  msg.headers:remove("P-Asserted-Identity")
  msg.headers:remove("Remote-Party-ID")

  if msg.method == "REGISTER" then return register(msg) end

  -- Clients and monitors send OPTIONS to see whether the server is alive. Everybody may ask.
  if msg.method == "OPTIONS" and is_myself() and not msg.ruri.user then
    return options(msg)
  end

  -- A sender that claims to be one of our users must prove it, within dialogs too. Only ACK cannot be challenged (RFC 3261 §22.1).
  local ours = is_myself(msg.from.host) and msg.method ~= "ACK"
  if ours and not authenticate(msg) then return end

  -- A request within a dialog between two phones follows its Route header (RFC 3261 §16.12), if that has the token which record_route
  -- wrote below. A dialog with our presence agent has the agent's Contact as Request-URI, and is handled further below.
  -- loose_route removes a Route that names this server, because clients with an outbound proxy add one to each request. A Route to
  -- another server is followed only within a dialog.
  local routed, why = loose_route(ours)
  if routed and not is_myself() then
    -- A blocked sender is blocked within dialogs too.
    if msg.method == "MESSAGE" and not authorize_message() then return sl_send_reply(403, "Forbidden") end
    return relay()
  end
  -- An ACK that belongs to no dialog is dropped.
  if msg.method == "ACK" then return end
  if why == "preloaded route" then return sl_send_reply(403, "Preloaded Route Denied") end

  -- Strangers may reach our users and nobody else: no open relay.
  if not ours and not is_myself() then
    return sl_send_reply(403, "Relaying Denied")
  end

  -- One of our users sends to another domain.
  if not is_myself() then
    if msg.method == "INVITE" or msg.method == "SUBSCRIBE" or msg.method == "REFER" then record_route("", ours) end
    return relay()
  end

  if msg.method == "SUBSCRIBE" then return subscribe(msg, ours) end
  if msg.method == "PUBLISH" then return publish() end
  if msg.method == "MESSAGE" then return message() end
  -- A server named in modparam("pa", "notifiers", …) may send NOTIFY without a subscription, such as for waiting messages (RFC 3842).
  if msg.method == "NOTIFY" and not msg.to_tag and handle_notify("registrar") then return end

  -- A Request-URI without a user names the server itself, which handles no other requests.
  if not msg.ruri.user then return sl_send_reply(404, "Not Found") end

  -- A call, or any other request for one of our users. record_route keeps us on the path of later requests in the dialog. They reach
  -- each of our phones by the flow that it uses now.
  if msg.method == "INVITE" or msg.method == "REFER" then record_route("", ours) end
  if not lookup("location") then
    return sl_send_reply(404, "Not Found")
  end
  return relay()
end

local schemes = { sip = true, sips = true, tel = true, pres = true, im = true }

-- Validates a request before a target is looked up (RFC 3261 §16.3). If it returns false, it has answered the request.
function acceptable(msg)
  -- An ACK is never answered.
  if msg.method == "ACK" then return true end
  local scheme = msg.ruri.scheme
  if not schemes[scheme] or scheme == "sips" and msg.method == "REGISTER" then
    sl_send_reply(416, "Unsupported URI Scheme")
    return false
  end
  -- A sips: URI requires TLS, which this server does not support (RFC 5630 §5.3).
  if scheme == "sips" and msg.ruri.user then
    append_to_reply('Warning: 380 signalbox "SIPS Not Allowed"')
    sl_send_reply(480, "Temporarily Unavailable")
    return false
  end
  return not refuses_extensions(msg)
end

-- Refuses a request with Proxy-Require (RFC 3261 §16.3 step 5): no extension that it could name is supported. Returns true if it has
-- answered. Require is checked by the function that answers with a 2xx.
function refuses_extensions(msg)
  local asked = msg.headers:all("Proxy-Require")
  if #asked == 0 then return false end
  -- Of an absurd number only the first: no answer is larger than its request.
  append_to_reply("Unsupported: " .. table.concat(asked, ", ", 1, math.min(#asked, 10)))
  sl_send_reply(420, "Bad Extension")
  return true
end

-- OPTIONS: answers with the server's capabilities (RFC 3261 §11.2).
function options(msg)
  append_to_reply("Allow: OPTIONS, REGISTER, SUBSCRIBE, PUBLISH")
  append_to_reply("Allow-Events: presence, presence.winfo")
  append_to_reply("Accept: application/pidf+xml")
  append_to_reply("Accept-Encoding: identity")
  append_to_reply("Accept-Language: en")
  append_to_reply("Supported: path")
  return sl_send_reply(200, "OK")
end

-- REGISTER: stores where a user can be reached (RFC 3261 §10). The domain in To is the realm of the password.
function register(msg)
  -- Only a sip: or sips: URI can be registered (RFC 3261 §10.3 step 5).
  if not msg.to.host then return sl_send_reply(400, "Bad To Header") end
  if not is_myself() or not is_myself(msg.to.host) then
    return sl_send_reply(403, "Relaying Denied")
  end
  if not www_authorize(msg.to.host) then
    return www_challenge(msg.to.host)
  end
  if avp.auth_user ~= msg.to.user then
    return sl_send_reply(403, "This Is Not Your Address")
  end
  return save("location")
end

-- Asks for the password of the user in From. Returns true if the request proves it; otherwise it has answered the request.
function authenticate(msg)
  local realm = msg.from.host
  if not proxy_authorize(realm) then
    proxy_challenge(realm)
    return false
  end
  if avp.auth_user ~= msg.from.user then
    sl_send_reply(403, "This Is Not Your Address")
    return false
  end
  -- The next hop must not see the credentials.
  consume_credentials()
  return true
end

-- SUBSCRIBE: the presence agent answers and sends NOTIFYs from then on. It serves presence (RFC 3856), watcher information (RFC 3857),
-- and the packages in modparam("pa", "events", …). A SUBSCRIBE for any other package goes to the phone.
function subscribe(msg, ours)
  if msg.event and not serves_event(msg.event) then
    record_route("", ours)
    if not lookup("location") then return sl_send_reply(404, "Not Found") end
    return relay()
  end
  -- From here on retransmissions of the request are absorbed.
  if not t_newtran() then return sl_reply_error() end
  -- A stranger's From proves nothing, so its subscription lasts ten minutes at most.
  local longest = nil
  if not is_myself(msg.from.host) then longest = 600 end
  if not handle_subscription("registrar", longest) then return end
  -- With modparam("pa", "use_offline_winfo", 1), a watcher is remembered if its subscription is pending and the user is away. The
  -- user is told of it after subscribing to presence.winfo.
  if msg.event == "presence.winfo" then
    dump_stored_winfo("registrar", "presence")
  elseif avp.subscription_status == "pending" and not msg.to_tag and not target_online("registrar") then
    store_winfo("registrar")
  end
end

-- PUBLISH (RFC 3903): a client publishes the state of its own user. modparam("pa", "publishers", …) names those that may publish for
-- others, such as a voicemail server or a PBX.
function publish()
  if not t_newtran() then return sl_reply_error() end
  handle_publish("registrar")
end

-- MESSAGE (RFC 3428): goes to all phones of the user, unless the sender is blocked.
function message()
  if not authorize_message() then
    return sl_reply(403, "Forbidden")
  end
  if not lookup("location") then
    return sl_reply(404, "Not Found")
  end
  return relay()
end

-- Relays the request. If that fails, answers with the reason.
function relay()
  if not t_relay() then
    return sl_reply_error()
  end
end
