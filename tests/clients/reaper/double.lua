-- A double of REAPER for one script: `lua5.4 double.lua SCRIPT key=value …`. It holds one track with one item, checks
-- each call against the documented signatures, runs deferred functions until there are none, and prints what is left.

local script = arg[1]
local given = {}
for index = 2, #arg do
  local key, value = arg[index]:match("^([^=]+)=(.*)$")
  given[key] = tonumber(value) or value
end

-- ReaScript documentation, version 7: argument types, then returned types. ? may be left out.
local SIGNATURES = {
  AddTakeToMediaItem = "MediaItem",
  ExecProcess = "string number",
  GetActiveTake = "MediaItem",
  GetExtState = "string string",
  GetMediaItemInfo_Value = "MediaItem string",
  GetMediaItemTakeInfo_Value = "MediaItem_Take string",
  GetMediaItemTake_Source = "MediaItem_Take",
  GetMediaSourceFileName = "PCM_source",
  GetMediaSourceLength = "PCM_source",
  GetMediaSourceType = "PCM_source",
  GetMousePosition = "",
  GetProjectPath = "",
  GetSelectedMediaItem = "ReaProject number",
  GetSetMediaItemTakeInfo_String = "MediaItem_Take string string boolean",
  GetSet_LoopTimeRange = "boolean boolean number number boolean",
  GetTakeNumStretchMarkers = "MediaItem_Take",
  GetUserFileNameForRead = "string string string",
  GetUserInputs = "string number string string",
  PCM_Source_BuildPeaks = "PCM_source number",
  PCM_Source_CreateFromFile = "string",
  PreventUIRefresh = "number",
  RecursiveCreateDirectory = "string number",
  SetActiveTake = "MediaItem_Take",
  SetExtState = "string string string boolean",
  SetMediaItemTakeInfo_Value = "MediaItem_Take string number",
  SetMediaItemTake_Source = "MediaItem_Take PCM_source",
  ShowMessageBox = "string string number",
  SplitMediaItem = "MediaItem number",
  TakeIsMIDI = "MediaItem_Take",
  TimeMap2_timeToQN = "ReaProject number",
  TimeMap_GetTimeSigAtTime = "ReaProject number",
  Undo_BeginBlock = "",
  Undo_EndBlock = "string number",
  UpdateArrange = "",
  ValidatePtr2 = "ReaProject userdata string",
  defer = "function",
  file_exists = "string",
  genGuid = "",
  time_precise = "",
}
local ITEM_KEYS = {D_POSITION = true, D_LENGTH = true}
local TAKE_KEYS = {D_STARTOFFS = 0, D_PLAYRATE = 1, D_PITCH = 0, D_VOL = 1, D_PAN = 0}

local function new(kind, fields) fields.kind = kind return fields end

local function new_take(item, file)
  local take = new("MediaItem_Take", {item = item, name = "", values = {}})
  for key, value in pairs(TAKE_KEYS) do take.values[key] = value end
  take.source = file and new("PCM_source", {file = file})
  item.takes[#item.takes + 1] = take
  return take
end

local item = new("MediaItem", {values = {D_POSITION = given.position, D_LENGTH = given.length}, takes = {}})
local items = {item}
item.active = new_take(item, given.file)
for key in pairs(TAKE_KEYS) do item.active.values[key] = given[key] or TAKE_KEYS[key] end
item.active.values.D_VOL = given.D_VOL or 1

local state, deferred, undo = {}, {}, {depth = 0, refresh = 0}
local double = {}

-- Every argument is of the documented kind, and there are neither more nor fewer.
local function check(name, signature, ...)
  local count = 0
  for kind in signature:gmatch("%S+") do
    count = count + 1
    local value = select(count, ...)
    local actual = type(value)
    if actual == "table" then actual = value.kind end
    local fits = actual == kind or (kind == "ReaProject" and value == 0) or (kind == "userdata" and type(value) == "table")
    if not fits then
      io.stderr:write(("%s: argument %d: expected %s, came %s\n"):format(name, count, kind, tostring(actual)))
      os.exit(3)
    end
  end
  if select("#", ...) ~= count then
    io.stderr:write(("%s: expected %d arguments, came %d\n"):format(name, count, select("#", ...)))
    os.exit(3)
  end
end

local function changes_project(name)
  if undo.depth ~= 1 then
    io.stderr:write(name .. " outside an undo block\n")
    os.exit(3)
  end
end

function double.GetSelectedMediaItem(_, index) return given.selected ~= "none" and index == 0 and item or nil end
function double.GetActiveTake(of) return of.active end
function double.TakeIsMIDI() return false end
function double.GetMediaItemTake_Source(take) return take.source end
function double.GetMediaSourceType() return given.type or "WAVE" end
function double.GetMediaSourceLength() return given.seconds, false end
function double.GetMediaSourceFileName(source) return source.file end
function double.GetTakeNumStretchMarkers() return given.markers or 0 end
function double.GetMediaItemInfo_Value(of, key) assert(ITEM_KEYS[key], key) return of.values[key] end
function double.GetMediaItemTakeInfo_Value(take, key) assert(TAKE_KEYS[key], key) return take.values[key] end
function double.GetSet_LoopTimeRange(is_set) assert(not is_set) return given.from or 0, given.to or 0 end
function double.TimeMap_GetTimeSigAtTime() return 4, 4, 100.0 end
function double.TimeMap2_timeToQN(_, seconds) return seconds * 100 / 60 end
function double.GetExtState(section, key) return tostring(state[section .. key] or given["state." .. key] or "") end
function double.SetExtState(section, key, value) state[section .. key] = value end
function double.GetUserFileNameForRead() return given.program ~= nil, given.program or "" end
function double.file_exists(path) local file = io.open(path) if file then file:close() end return file ~= nil end
function double.GetMousePosition() return 100, 100 end
function double.GetProjectPath() return given.folder end
function double.RecursiveCreateDirectory(path) os.execute('mkdir -p "' .. path .. '"') return 1 end
function double.genGuid() return ("{%08X-0000-4000-8000-000000000000}"):format(math.random(0, 2 ^ 31)) end
function double.time_precise() return os.time() + os.clock() end
function double.defer(action) deferred[#deferred + 1] = action return true end
function double.UpdateArrange() end
function double.ShowMessageBox(text) print("message " .. text:gsub("\n", " ")) return 1 end
function double.ValidatePtr2(_, pointer, kind) return given.gone == nil and pointer.kind == kind:gsub("%*$", "") end

function double.GetUserInputs(_, count, captions, before)
  local fields, separator = {}, ","
  for field in captions:gmatch("[^,]+") do
    separator = field:match("^separator=(.*)$") or separator
    if not field:match("^extrawidth=") and not field:match("^separator=") then fields[#fields + 1] = field end
  end
  assert(#fields == count, "a caption for each field")
  print("asked " .. before:gsub(separator, "|"))
  if not given.text then return false, "" end
  return true, table.concat({given.text, before:match("\n([^\n]*)\n"), given.seed or "", given.strength or ""}, separator)
end

function double.ExecProcess(command, timeout)
  if timeout < 0 then
    return os.execute(command .. " >/dev/null 2>&1 &") and "" or nil
  end
  local pipe = io.popen(command)
  local output = pipe:read("a")
  pipe:close()
  return "0\n" .. output
end

function double.Undo_BeginBlock() undo.depth = undo.depth + 1 end
function double.Undo_EndBlock(name) undo.depth = undo.depth - 1 print("undo " .. name) end
function double.PreventUIRefresh(step) undo.refresh = undo.refresh + step end

function double.AddTakeToMediaItem(of) changes_project("AddTakeToMediaItem") return new_take(of) end
function double.SetActiveTake(take) changes_project("SetActiveTake") take.item.active = take end
function double.PCM_Source_CreateFromFile(path)
  return not given.unreadable and double.file_exists(path) and new("PCM_source", {file = path}) or nil
end
function double.PCM_Source_BuildPeaks() return 0 end
function double.SetMediaItemTake_Source(take, source) take.source = source return true end
function double.SetMediaItemTakeInfo_Value(take, key, value)
  assert(TAKE_KEYS[key], key)
  take.values[key] = value
  return true
end
function double.GetSetMediaItemTakeInfo_String(take, key, value) assert(key == "P_NAME") take.name = value return true, value end

function double.SplitMediaItem(of, at)
  changes_project("SplitMediaItem")
  local first, length = of.values.D_POSITION, of.values.D_LENGTH
  if at <= first or at >= first + length then return nil end
  local right = new("MediaItem", {values = {D_POSITION = at, D_LENGTH = first + length - at}, takes = {}})
  of.values.D_LENGTH = at - first
  for _, take in ipairs(of.takes) do
    local copy = new_take(right, take.source.file)
    for key, value in pairs(take.values) do copy.values[key] = value end
    copy.values.D_STARTOFFS = take.values.D_STARTOFFS + at - first
    if take == of.active then right.active = copy end
  end
  items[#items + 1] = right
  return right
end

reaper = {}
for name, signature in pairs(SIGNATURES) do
  reaper[name] = function(...)
    check(name, signature, ...)
    return double[name](...)
  end
end

local looks = 0
gfx = {w = 420, h = 64, x = 0, y = 0}
function gfx.init(name) assert(type(name) == "string") gfx.is_open = true end
function gfx.quit() gfx.is_open = false end
function gfx.set() end
function gfx.rect() end
function gfx.update() end
function gfx.drawstr(text) assert(type(text) == "string") end
function gfx.showmenu(menu) print("menu " .. menu) return given.menu or 1 end
function gfx.getchar()
  looks = looks + 1
  if given.escape and looks > 4 then return 27 end
  return 0
end

assert(loadfile(script))()
while #deferred > 0 do
  local waiting = deferred
  deferred = {}
  for _, action in ipairs(waiting) do action() end
  if given.moved_to and #deferred > 0 then item.values.D_POSITION = given.moved_to end
  os.execute("sleep 0.05")
end

for _, one in ipairs(items) do
  for _, take in ipairs(one.takes) do
    print(("take %.6f %.6f %.6f %g %s %s"):format(one.values.D_POSITION, one.values.D_LENGTH, take.values.D_STARTOFFS,
          take.values.D_VOL, tostring(take == one.active), take.source and take.source.file or "nothing"))
  end
end
print(("balance %d %d %s"):format(undo.depth, undo.refresh, tostring(gfx.is_open)))
