-- A session of two tracks: one through stemd Insert with its eight outputs on the master, one
-- beside it. Arguments: directory, name, rate, VST3 or LV2.
local dir, name, rate, kind = "@DIR@", "@NAME@", @RATE@, "@KIND@"
AudioEngine:set_backend("None (Dummy)", "", "")
Session = create_session(dir, name, rate)

local function track(called)
  local made = Session:new_audio_track(2, 2, nil, 1, called, ARDOUR.PresentationInfo.max_order,
                                       ARDOUR.TrackMode.Normal, true)
  for one in made:iter() do
    one:panner_shell():set_bypassed(true)
    return one
  end
end

local wet, dry = track("wet"), track("dry")
wet:set_strict_io(false)
local unique = kind == "VST3" and "stemd Insert" or "urn:stemd:insert"
local insert = ARDOUR.LuaAPI.new_plugin(Session, unique, ARDOUR.PluginType[kind], "")
assert(not insert:isnil(), "Ardour does not know the plugin")
assert(wet:add_processor_by_index(insert, 0, nil, true) == 0)
local plugin = insert:to_plugininsert():plugin(0)
local found = false
for n = 0, plugin:parameter_count() - 1 do
  local port = plugin:nth_parameter(n, true)
  if plugin:parameter_label(port) == "When stemd is away" then
    found = ARDOUR.LuaAPI.set_processor_param(insert, n, 1)  -- silence: a dry track would null too
  end
end
assert(found, "no such parameter")
wet:output():disconnect_all(nil)
for n = 0, wet:n_outputs():n_audio() - 1 do
  assert(wet:output():audio(n):connect(Session:master_out():input():audio(n % 2):name()) == 0)
end
print("outputs", wet:n_outputs():n_audio())
print("latency", insert:to_plugininsert():signal_latency())
Session:save_state("")
close_session()
quit()
