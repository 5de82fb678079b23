-- ardour7-lua session.lua SCRIPT FILL FOLDER key=value … [then key=value …]…: runs the action in a real session without a
-- window, once for each part, and prints the session's regions after each.
--
-- Session, regions, tempo map, playlists and files are libardour's own. Only what needs a window is a double: the editor's
-- selection and its import (which here bounces a region of the stem's length and fills it with the stem's samples), and
-- the dialogs. FILL is a program that writes a ramp, or a file's samples, into a session's files.

local script, fill, folder = arg[1], arg[2], arg[3]
local POSITION, FRAMES = 12345, 30871
local given                                              -- what holds in the part that runs

AudioEngine:set_backend("None (Dummy)", "", "")
Session = create_session(folder .. "/song", "song", 44100)

local function new_track(name)
  local list = Session:new_audio_track(2, 2, nil, 1, name, ARDOUR.PresentationInfo.max_order, ARDOUR.TrackMode.Normal, true, true)
  for route in list:iter() do return route:to_track() end
end

-- A region whose two files hold what FILL writes: from nothing, a ramp; else what is in the file `from`.
local function new_region(track, position, frames, name, from)
  local region = track:bounce_range(position, position + frames, ARDOUR.InterThreadInfo(), track:main_outs(), false, name)
  local paths = {}
  for channel = 0, 1 do paths[#paths + 1] = "'" .. region:source(channel):to_filesource():path() .. "'" end
  assert(os.execute(fill .. " '" .. from .. "' " .. table.concat(paths, " ")))
  track:playlist():add_region(region, Temporal.timepos_t(position), 1, false)
  for placed in track:playlist():region_list():iter() do return placed end
end

local region = new_region(new_track("Solo"), POSITION, FRAMES, "take", "ramp")
region:to_audioregion():set_scale_amplitude(0.5)

local function iterator(values)
  return {iter = function() local index = 0 return function() index = index + 1 return values[index] end end}
end

local time = {empty = function() return not given.from end, start_sample = function() return given.from end,
              end_sample = function() return given.to end}
Editing = {ImportDistinctFiles = "distinct files", ImportAsTrack = "as track"}
Editor = {}
function Editor:get_selection()
  local regions = given.nothing and {} or {region}
  return {regions = {regionlist = function() return iterator(regions) end}, time = time}
end

function Editor:do_import(files, disposition, mode, quality, names, tempo, position, instrument, track, with_markers)
  assert(disposition == Editing.ImportDistinctFiles and mode == Editing.ImportAsTrack, "one track per file")
  assert(quality == ARDOUR.SrcQuality.SrcBest and names ~= nil and tempo ~= nil and with_markers == false)
  assert(instrument:isnil() and track:isnil())
  if given.refuses then return end
  for path in files:iter() do
    local list = ARDOUR.Readable.load(Session, path)     -- libardour opens the stem itself
    local channels, frames = 0, 0
    for one in list:iter() do channels, frames = channels + 1, one:readable_length() end
    print(("import %d %d %d %s"):format(position:samples(), channels, frames, path))
    new_region(new_track("stem"), position:samples(), frames, "stem", path)
  end
end

LuaDialog = {MessageType = {Error = 1}, ButtonType = {Close = 1}}
function LuaDialog.Dialog(title, fields)
  for _, field in ipairs(fields) do assert(field.type and field.key and field.title, "a field of the dialog") end
  local answers = {text = given.text, preset = given.preset or "", seed = tostring(given.seed or "-1"), program = given.program}
  return {run = function() return given.text and answers or nil end}
end
function LuaDialog.Message(title, text) print("message " .. text:gsub("\n", " ")) return {run = function() end} end
function LuaDialog.ProgressWindow(title, can_cancel)
  assert(can_cancel)
  local shown = 0
  return {progress = function(_, fraction, text)
    assert(fraction >= 0 and fraction <= 1 and type(text) == "string")
    shown = shown + 1
    return given.cancel ~= nil and shown > 3
  end, done = function() print("window closed") end}
end

-- Ardour's own: it starts a program and does not wait.
local function forkexec(...)
  local words = {}
  for _, word in ipairs({...}) do words[#words + 1] = "'" .. word .. "'" end
  os.execute(table.concat(words, " ") .. " >/dev/null 2>&1 &")
end
local kept = ARDOUR
ARDOUR = setmetatable({user_config_directory = function() return folder end}, {__index = kept})

function ardour(description) assert(description.type == "EditorAction" and description.name) end
assert(loadfile(script))()
-- Ardour keeps only the compiled factory: nothing outside of it may be needed.
local action = assert(load(string.dump(factory, true), "factory", "b"))

local function run()
  os.forkexec = not given.sandboxed and forkexec or nil
  print("part")
  action()()
  for route in Session:get_tracks():iter() do
    for one in route:to_track():playlist():region_list():iter() do
      local audio = one:to_audioregion()
      print(("region %s %d %d %g %s"):format((route:name():gsub(" ", "_")), one:position():samples(), one:length():samples(),
            audio:scale_amplitude(), one:source(0):to_filesource():path()))
    end
  end
end

given = {}
for index = 4, #arg do
  local key, value = arg[index]:match("^([^=]+)=(.*)$")
  if key then given[key] = tonumber(value) or value else run() given = {} end
end
run()
close_session()
