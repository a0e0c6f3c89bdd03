-- A plain stateful proxy with a registrar, without authentication: for a laboratory or behind a firewall.
-- Each worker loads this script. SIGHUP or `signalbox ctl core reload` loads it again. Needs: loadmodule "registrar".

-- The schemes that a Request-URI may have (RFC 3261 §16.3 step 2).
local schemes = { sip = true, sips = true, tel = true, pres = true, im = true }

function route(msg)
  if not mf_process_maxfwd_header(70) then
    return sl_send_reply(483, "Too Many Hops")
  end

  -- The core handles a CANCEL that matches a transaction. One that reaches the script matches none.
  if msg.method == "CANCEL" then return sl_send_reply(481, "Call/Transaction Does Not Exist") end

  -- A request within a dialog follows its Route header (RFC 3261 §16.12), if that has the token which record_route wrote below.
  -- loose_route removes a Route that names this server, because clients with an outbound proxy add one to each request. A Route to
  -- another server is followed only within a dialog.
  local routed, why = loose_route()
  if routed and not is_myself() then
    return relay()
  end
  -- An ACK that belongs to no dialog is dropped.
  if msg.method == "ACK" then return end
  if why == "preloaded route" then return sl_send_reply(403, "Preloaded Route Denied") end

  if not schemes[msg.ruri.scheme] then return sl_send_reply(416, "Unsupported URI Scheme") end
  -- A sips: URI requires TLS, which this server does not support (RFC 5630 §5.3).
  if msg.ruri.scheme == "sips" and msg.ruri.user then
    append_to_reply('Warning: 380 signalbox "SIPS Not Allowed"')
    return sl_send_reply(480, "Temporarily Unavailable")
  end
  if refuses_extensions(msg) then return end

  -- Only requests for our own domains are served: no open relay.
  if not is_myself() then
    return sl_send_reply(403, "Relaying Denied")
  end

  if msg.method == "REGISTER" then
    return save("location")
  end

  if msg.method == "INVITE" or msg.method == "SUBSCRIBE" or msg.method == "REFER" then
    -- There are no passwords here, so the domain in From decides whether the sender is a user of ours.
    record_route("", is_myself(msg.from.host))
  end

  -- A request for the server itself, such as the OPTIONS by which clients see whether it is alive.
  if not msg.ruri.user then
    if msg.method == "OPTIONS" then
      -- The server's capabilities (RFC 3261 §11.2). Accept is empty because it reads no body.
      append_to_reply("Allow: OPTIONS, REGISTER\r\nAccept:\r\nSupported: path")
      return sl_send_reply(200, "OK")
    end
    return sl_send_reply(404, "Not Found")
  end

  -- The contacts of the user become the targets: all of the highest q at once, then the next.
  if not lookup("location") then
    return sl_send_reply(404, "Not Found")
  end
  return relay()
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

-- Relays the request. If that fails, answers with the reason.
function relay()
  if not t_relay() then
    return sl_reply_error()
  end
end
