-- A plain stateful proxy with a registrar, without authentication: for a laboratory or behind a firewall.
-- Loaded by each worker, reloaded as a whole by SIGHUP or `signalbox ctl core reload`. Needs: loadmodule "registrar".

-- The schemes that a Request-URI may have (RFC 3261 §16.3 step 2).
local schemes = { sip = true, sips = true, tel = true, pres = true, im = true }

function route(msg)
  if not mf_process_maxfwd_header(70) then
    return sl_send_reply(483, "Too Many Hops")
  end

  -- An INVITE is cancelled by its transaction, and what reaches the script has none.
  if msg.method == "CANCEL" then return sl_send_reply(481, "Call/Transaction Does Not Exist") end

  -- Inside a dialog the Route header says where to (RFC 3261 §16.12), if it has the token that record_route() gave out below.
  -- A Route that led here comes off in any case: clients with an outbound proxy send one along with each request. One that
  -- leads elsewhere is no way to send anybody through us.
  local routed, why = loose_route()
  if routed and not is_myself() then
    return relay()
  end
  -- A stray ACK is nobody's.
  if msg.method == "ACK" then return end
  if why == "preloaded route" then return sl_send_reply(403, "Preloaded Route Denied") end

  if not schemes[msg.ruri.scheme] then return sl_send_reply(416, "Unsupported URI Scheme") end
  -- TLS is not spoken here, so nobody can be reached as a sips: URI wants it (RFC 5630 §5.3).
  if msg.ruri.scheme == "sips" and msg.ruri.user then
    append_to_reply('Warning: 380 signalbox "SIPS Not Allowed"')
    return sl_send_reply(480, "Temporarily Unavailable")
  end
  if refuses_extensions(msg) then return end

  -- Only what is meant for our own domains is served: no open relay.
  if not is_myself() then
    return sl_send_reply(403, "Relaying Denied")
  end

  if msg.method == "REGISTER" then
    return save("location")
  end

  if msg.method == "INVITE" or msg.method == "SUBSCRIBE" or msg.method == "REFER" then
    -- Nobody has a password here, so the sender's address has to do for who is a user of ours.
    record_route("", is_myself(msg.from.host))
  end

  -- A request for the server itself, such as the OPTIONS that clients look whether we are alive with.
  if not msg.ruri.user then
    if msg.method == "OPTIONS" then
      -- What the server can do (§11.2): no body means anything to it.
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

-- Nothing that Proxy-Require could ask for is supported (RFC 3261 §16.3 step 5). True once that was answered. What Require asks for is
-- looked at by whoever answers with a 2xx.
function refuses_extensions(msg)
  local asked = table.concat(msg.headers:all("Proxy-Require"), ", ")
  if asked == "" then return false end
  append_to_reply("Unsupported: " .. asked)
  sl_send_reply(420, "Bad Extension")
  return true
end

-- Sends the request on; where that fails, answers why.
function relay()
  if not t_relay() then
    return sl_reply_error()
  end
end
