-- Counts what happens to registrations; OPTIONS asks for the last of it.
local seen = "nothing"

local function note(event)
  seen = string.format("%s %s %s %d", event.name, event.aor, event.contact, event.expires)
end

for _, change in ipairs { "added", "refreshed", "expired", "removed" } do
  event_route.registrar[change] = note
end

function route(msg)
  if msg.method == "REGISTER" then return save("location") end
  sl_send_reply(200, seen)
end
