-- A presence and messaging server for the domains of `alias`: users register with a password, see each other's presence,
-- exchange messages and call each other.
--
-- Loaded by each worker, reloaded as a whole by SIGHUP or `signalbox ctl core reload`: a script with a mistake is refused with
-- its line, and the old one stays. Needs: loadmodule "registrar", "auth", "pa", "im_auth".
--
-- A function that can't do what it is asked returns false and a reason: `local done, why = t_relay()`.

function route(msg)
  -- A request that has passed too many servers runs in circles.
  if not mf_process_maxfwd_header(70) then
    return sl_send_reply(483, "Too Many Hops")
  end

  -- An INVITE is cancelled by its transaction, and what reaches the script has none.
  if msg.method == "CANCEL" then return sl_send_reply(481, "Call/Transaction Does Not Exist") end
  -- Nobody could say who has sent this.
  if not msg.from.uri then return sl_send_reply(400, "Bad From Header") end

  if not acceptable(msg) then return end

  -- Nobody here is trusted to assert who has sent a request (RFC 3325 §5): phones would believe it.
  msg.headers:remove("P-Asserted-Identity")
  msg.headers:remove("Remote-Party-ID")

  if msg.method == "REGISTER" then return register(msg) end

  -- The OPTIONS that clients and monitors look whether we are alive with: everybody may know.
  if msg.method == "OPTIONS" and is_myself() and not msg.ruri.user then
    return options(msg)
  end

  -- Who says to be one of our users proves it, in dialogs too. Only an ACK can't be asked (RFC 3261 §22.1).
  local ours = is_myself(msg.from.host) and msg.method ~= "ACK"
  if ours and not authenticate(msg) then return end

  -- Inside a dialog between two phones the Route header says where to (RFC 3261 §16.12), if it has the token that record_route
  -- gave out below. A dialog with our own presence agent has the Request-URI that the agent gave out, and goes on below.
  -- A Route that led here comes off in any case: clients with an outbound proxy send one along with each request.
  -- One that leads elsewhere is no way to send anybody through us.
  local routed, why = loose_route(ours)
  if routed and not is_myself() then
    -- Who is blocked is so in dialogs too.
    if msg.method == "MESSAGE" and not authorize_message() then return sl_send_reply(403, "Forbidden") end
    return relay()
  end
  -- A stray ACK is nobody's.
  if msg.method == "ACK" then return end
  if why == "preloaded route" then return sl_send_reply(403, "Preloaded Route Denied") end

  -- Strangers may reach our users, but go nowhere else: no open relay.
  if not ours and not is_myself() then
    return sl_send_reply(403, "Relaying Denied")
  end

  -- Another domain's user: the request goes there.
  if not is_myself() then
    if msg.method == "INVITE" or msg.method == "SUBSCRIBE" or msg.method == "REFER" then record_route("", ours) end
    return relay()
  end

  if msg.method == "SUBSCRIBE" then return subscribe(msg, ours) end
  if msg.method == "PUBLISH" then return publish() end
  if msg.method == "MESSAGE" then return message() end
  -- What a server that modparam("pa", "notifiers", …) names tells of our users without being asked, as of waiting messages (RFC 3842).
  if msg.method == "NOTIFY" and not msg.to_tag and handle_notify("registrar") then return end

  -- Nothing else is meant for the server itself.
  if not msg.ruri.user then return sl_send_reply(404, "Not Found") end

  -- A call, or anything else for one of our users. record_route keeps us on the way of what follows in the dialog, which reaches
  -- each phone of ours by the way that it has now.
  if msg.method == "INVITE" or msg.method == "REFER" then record_route("", ours) end
  if not lookup("location") then
    return sl_send_reply(404, "Not Found")
  end
  return relay()
end

local schemes = { sip = true, sips = true, tel = true, pres = true, im = true }

-- What can be said of a request before anybody is looked for (RFC 3261 §16.3). Otherwise it has been answered.
function acceptable(msg)
  -- An ACK is answered by nobody.
  if msg.method == "ACK" then return true end
  local scheme = msg.ruri.scheme
  if not schemes[scheme] or scheme == "sips" and msg.method == "REGISTER" then
    sl_send_reply(416, "Unsupported URI Scheme")
    return false
  end
  -- TLS is not spoken here, so nobody can be reached as a sips: URI wants it (RFC 5630 §5.3).
  if scheme == "sips" and msg.ruri.user then
    append_to_reply('Warning: 380 signalbox "SIPS Not Allowed"')
    sl_send_reply(480, "Temporarily Unavailable")
    return false
  end
  return not refuses_extensions(msg)
end

-- Nothing that Proxy-Require could ask for is supported (RFC 3261 §16.3 step 5). True once that was answered. What Require asks for is
-- looked at by whoever answers with a 2xx.
function refuses_extensions(msg)
  local asked = table.concat(msg.headers:all("Proxy-Require"), ", ")
  if asked == "" then return false end
  append_to_reply("Unsupported: " .. asked)
  sl_send_reply(420, "Bad Extension")
  return true
end

-- OPTIONS: what the server can do (RFC 3261 §11.2).
function options(msg)
  append_to_reply("Allow: OPTIONS, REGISTER, SUBSCRIBE, PUBLISH")
  append_to_reply("Allow-Events: presence, presence.winfo")
  append_to_reply("Accept: application/pidf+xml")
  append_to_reply("Accept-Encoding: identity")
  append_to_reply("Accept-Language: en")
  append_to_reply("Supported: path")
  return sl_send_reply(200, "OK")
end

-- REGISTER: where a user can be reached (RFC 3261 §10). The domain of To is the realm of the password.
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

-- Asks for the password of the user in From. True once it was given; otherwise the request has been answered.
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
  -- The next hop has no business with it.
  consume_credentials()
  return true
end

-- SUBSCRIBE: the presence agent answers, and notifies from then on: of presence (RFC 3856), of who watches (RFC 3857), and of what
-- modparam("pa", "events", …) adds. Packages that it doesn't serve, such as those between two phones, go to the phone.
function subscribe(msg, ours)
  if msg.event and not serves_event(msg.event) then
    record_route("", ours)
    if not lookup("location") then return sl_send_reply(404, "Not Found") end
    return relay()
  end
  -- From here on repetitions of the request are absorbed.
  if not t_newtran() then return sl_reply_error() end
  -- A stranger's name proves nothing: little is kept for one, and for a short time.
  local longest = nil
  if not is_myself(msg.from.host) then longest = 600 end
  if not handle_subscription("registrar", longest) then return end
  -- Who asks to see a user who is away, and has to wait for a decision, is remembered until that user comes and asks who
  -- watches; with modparam("pa", "use_offline_winfo", 1).
  if msg.event == "presence.winfo" then
    dump_stored_winfo("registrar", "presence")
  elseif avp.subscription_status == "pending" and not msg.to_tag and not target_online("registrar") then
    store_winfo("registrar")
  end
end

-- PUBLISH: a client says itself what its user is up to (RFC 3903), and nobody else does whom modparam("pa", "publishers", …) doesn't
-- name, such as a voicemail server or a PBX.
function publish()
  if not t_newtran() then return sl_reply_error() end
  handle_publish("registrar")
end

-- MESSAGE (RFC 3428): to all phones of the user, if the sender is not blocked.
function message()
  if not authorize_message() then
    return sl_reply(403, "Forbidden")
  end
  if not lookup("location") then
    return sl_reply(404, "Not Found")
  end
  return relay()
end

-- Sends the request on; where that fails, answers why.
function relay()
  if not t_relay() then
    return sl_reply_error()
  end
end
