---@meta
-- Generated from the tables in the code; `make stubs` writes it anew.
-- im_auth: Decides whether a message may reach the user it is sent to.

---Tells whether the sender of the request, the user in From, may send messages.
---Callable in: request.
---@param xcap_root? string Where the recipients' own rules are; not asked yet, only the lists decide.
---@return boolean result true if the sender may; else why not
---@return string? reason why not
function authorize_message(xcap_root) end
