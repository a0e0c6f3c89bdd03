-- Examples 14 and 15 of the presence document: watchers of a user who is away are remembered and told later, and messages go to
-- those who take them.
function route(msg)
  if msg.method == "REGISTER" then return save("location") end

  -- Example 14: target_online, store_winfo, dump_stored_winfo.
  if msg.method == "SUBSCRIBE" then
    if not t_newtran() then return sl_reply_error() end
    if handle_subscription("registrar") then
      if msg.event == "presence.winfo" then
        log("info", "subscription to watcherinfo")
        dump_stored_winfo("registrar", "presence")
        log("info", "OFFLINE AUTH: watcherinfo dumped")
      elseif msg.event == "presence" and avp.subscription_status == "pending" then
        log("info", "pending subscription to presence")
        -- If the user is offline and the pending subscription is new.
        if not target_online("registrar") and not msg.to_tag then
          log("info", "OFFLINE AUTH: storing for offline user")
          store_winfo("registrar")
        end
      end
    end
    return
  end

  -- Example 15: authorize_message.
  if msg.method == "MESSAGE" then
    if authorize_message("http://localhost/xcap") then
      if not lookup("location") then return sl_reply(404, "Not Found") end
      if not t_relay() then sl_reply_error() end
    else
      sl_reply(403, "Forbidden")
    end
    return
  end
  sl_send_reply(405, "Method Not Allowed")
end
