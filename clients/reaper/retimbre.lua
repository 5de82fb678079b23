-- @description Retimbre: turn the selected item, or the part of it in the time selection, into another sound
-- @about The stem comes back as a new take of the same item, in the same place: one undo step.
--
-- REAPER's scripts have no sockets, so this one starts `retimbre job NAME` and reads NAME.log until that says how the
-- job went. The words travel in a file: no shell ever sees them. REAPER stays usable meanwhile.
--
-- Rule: everything runs on REAPER's main thread; look() returns at once and asks to be called again (reaper.defer).

local TITLE = "Retimbre"
local SECTION = "retimbre"               -- of REAPER's ext state: remembers the program and the last words
local POLL_SECONDS = 0.2
local START_SECONDS = 60                 -- a cold disk may need half of that until the first line of the log
local WINDOW = {width = 420, height = 64, bar = 10}

-- ---------------------------------------------------------------- the item

-- What stands between the file and what is heard. A take with any of these is not the file's own sound.
local PLAIN = {
  {"D_PLAYRATE", 1, "is played at another rate"},
  {"D_PITCH", 0, "is pitched"},
}

local function fail(message) error({message = message}, 0) end

local function refuse(why)
  fail("The item " .. why .. ", so its file is not what you hear.\nGlue it first (Item: Glue items), then run this again.")
end

local function check_plain(take, source)
  for _, row in ipairs(PLAIN) do
    local name, expected, why = table.unpack(row)
    if math.abs(reaper.GetMediaItemTakeInfo_Value(take, name) - expected) > 1e-9 then refuse(why) end
  end
  if reaper.GetTakeNumStretchMarkers(take) > 0 then refuse("has stretch markers") end
  if reaper.GetMediaSourceType(source) == "SECTION" then refuse("is a section, or reversed") end
end

-- The part of the item in the time selection; all of it where there is none, or where it lies elsewhere. In seconds.
local function span_of(item)
  local first = reaper.GetMediaItemInfo_Value(item, "D_POSITION")
  local last = first + reaper.GetMediaItemInfo_Value(item, "D_LENGTH")
  local from, to = reaper.GetSet_LoopTimeRange(false, false, 0, 0, false)
  if to <= from or to <= first or from >= last then return first, last end
  return math.max(first, from), math.min(last, to)
end

-- The region: item, take, file, place in the file (seconds), tempo, place on the timeline (quarter notes).
local function selected_region()
  local item = reaper.GetSelectedMediaItem(0, 0)
  if not item then fail("Select an audio item first; a time selection over it narrows the region.") end
  local take = reaper.GetActiveTake(item)
  if not take or reaper.TakeIsMIDI(take) then fail("The selected item has no audio take.") end
  local source = reaper.GetMediaItemTake_Source(take)
  check_plain(take, source)
  local from, to = span_of(item)
  local offset = reaper.GetMediaItemTakeInfo_Value(take, "D_STARTOFFS")
  local start = offset + from - reaper.GetMediaItemInfo_Value(item, "D_POSITION")
  local seconds = reaper.GetMediaSourceLength(source)
  if start < -1e-6 or start + to - from > seconds + 1e-6 then refuse("goes beyond its file, or loops it") end
  local _, _, tempo = reaper.TimeMap_GetTimeSigAtTime(0, from)
  return {item = item, take = take, file = reaper.GetMediaSourceFileName(source), start = math.max(0, start),
          length = to - from, tempo = tempo, beats = reaper.TimeMap2_timeToQN(0, from)}
end

-- ---------------------------------------------------------------- what to do with it

local function remembered(key) return reaper.GetExtState(SECTION, key) end
local function remember(key, value) reaper.SetExtState(SECTION, key, value, true) end

local function program()
  local path = remembered("program")
  if path ~= "" and reaper.file_exists(path) then return path end
  local chosen, found = reaper.GetUserFileNameForRead("", "Where is the program retimbre? (.venv/bin/retimbre)", "")
  if not chosen then return nil end
  remember("program", found)
  return found
end

-- Names of the styles, as `retimbre presets` prints them: a line each, name first. Empty if it cannot be asked.
local function styles(command)
  local names = {}
  local output = reaper.ExecProcess('"' .. command .. '" presets', 15000) or ""
  for line in output:gsub("^[^\n]*\n", ""):gmatch("[^\r\n]+") do   -- the first line is the exit code
    names[#names + 1] = line:match("^(%S+)%s")
  end
  return names
end

-- A style from a menu under the mouse; "" for none, nil when the menu was left.
local function ask_style(command)
  local names = styles(command)
  gfx.init(TITLE, 1, 1, 0, reaper.GetMousePosition())
  gfx.x, gfx.y = 0, 0
  local chosen = gfx.showmenu(table.concat({"by the words alone", table.unpack(names)}, "|"))
  gfx.quit()
  if chosen == 0 then return nil end
  return names[chosen - 1] or ""
end

-- text, style or mixture (harp 0.7 pan_flute 0.3), seed, strength; nil when the dialog was left.
local function ask(style)
  local fields = "What to do (in words):,Style (or harp 0.7 choir 0.3):,Seed (-1: any):,Strength (empty: the style's):"
  local before = table.concat({remembered("text"), style, remembered("seed"), remembered("strength")}, "\n")
  local ok, answers = reaper.GetUserInputs(TITLE, 4, fields .. ",extrawidth=220,separator=\n", before)
  if not ok then return nil end
  local text, preset, seed, strength = answers:match("^([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)$")
  if not text or text:match("^%s*$") then fail("Say in words what to do.") end
  remember("text", text)
  remember("seed", seed)
  remember("strength", strength)
  return {text = text, preset = preset, seed = seed, strength = strength}
end

-- ---------------------------------------------------------------- the job

local function new_path(folder, name, ending)
  for number = 1, math.huge do
    local path = ("%s/%s-%d%s"):format(folder, name, number, ending)
    if not reaper.file_exists(path) then return path end
  end
end

local function write_request(name, region, wishes, output)
  local lines = {"audio " .. region.file, "text " .. wishes.text:gsub("[\r\n]", " "), "output " .. output,
                 ("start %.9f"):format(region.start), ("length %.9f"):format(region.length),
                 ("tempo %.6f"):format(region.tempo), ("beats_start %.6f"):format(region.beats)}
  for _, key in ipairs({"preset", "seed", "strength"}) do
    if wishes[key]:match("%S") then lines[#lines + 1] = key .. " " .. wishes[key] end
  end
  local file = io.open(name .. ".request", "wb")
  if not file then fail(name .. ".request cannot be written.") end
  file:write(table.concat(lines, "\n"), "\n")
  file:close()
end

local function start(region, wishes, command)
  local media = reaper.GetProjectPath()
  reaper.RecursiveCreateDirectory(media .. "/retimbre-jobs", 0)
  local name = media .. "/retimbre-jobs/" .. reaper.genGuid():gsub("[{}]", "")
  local title = wishes.text:gsub("[^%w]+", "-"):sub(1, 40):gsub("^%-+", ""):gsub("%-+$", "")
  write_request(name, region, wishes, new_path(media, "retimbre-" .. title, ".wav"))
  -- -2: do not wait, no terminal window.
  if not reaper.ExecProcess(('"%s" job "%s"'):format(command, name), -2) then
    fail("The program " .. command .. " could not be started.")
  end
  return {name = name, region = region, text = wishes.text, stems = {}, fraction = -1, stage = "starting",
          began = reaper.time_precise(), looked = 0}
end

local function read_log(job)
  local file = io.open(job.name .. ".log", "rb")
  if not file then return nil end
  local text = file:read("a")
  file:close()
  job.stems = {}
  for line in text:gmatch("([^\n]*)\n") do
    local word, rest = line:match("^(%S+)%s?(.*)$")
    if word == "progress" then
      local fraction, stage = rest:match("^(%S+)%s+(.*)$")
      job.fraction, job.stage = tonumber(fraction) or -1, stage
    elseif word == "stem" then
      job.stems[#job.stems + 1] = rest
    elseif word == "done" or word == "fail" then
      return word, rest
    end
  end
end

local function cancel(job)
  if job.is_cancelled then return end
  job.is_cancelled, job.stage = true, "stopping"
  local file = io.open(job.name .. ".cancel", "wb")
  if file then file:close() end
end

-- ---------------------------------------------------------------- back into the project

local function add_take(region, path, name)
  local source = reaper.PCM_Source_CreateFromFile(path)
  if not source then fail("REAPER cannot read " .. path) end
  local take = reaper.AddTakeToMediaItem(region.item)
  reaper.SetMediaItemTake_Source(take, source)
  reaper.GetSetMediaItemTakeInfo_String(take, "P_NAME", name, true)
  -- Where the item shows the region's first sample, the stem shows its own, even if the item was trimmed meanwhile.
  local offset = reaper.GetMediaItemTakeInfo_Value(region.take, "D_STARTOFFS") - region.start
  reaper.SetMediaItemTakeInfo_Value(take, "D_STARTOFFS", offset)
  for _, key in ipairs({"D_VOL", "D_PAN"}) do
    reaper.SetMediaItemTakeInfo_Value(take, key, reaper.GetMediaItemTakeInfo_Value(region.take, key))
  end
  reaper.PCM_Source_BuildPeaks(source, 0)
  return take
end

-- The part of the item that is the region: the item itself, or what splitting it at the region's ends leaves.
-- The item may have been moved or trimmed since; the take's offset tells where in it the region lies now.
local function narrow(region)
  local first = reaper.GetMediaItemInfo_Value(region.item, "D_POSITION")
  local last = first + reaper.GetMediaItemInfo_Value(region.item, "D_LENGTH")
  local from = first + region.start - reaper.GetMediaItemTakeInfo_Value(region.take, "D_STARTOFFS")
  local to = from + region.length
  if to < last - 1e-6 then reaper.SplitMediaItem(region.item, to) end
  if from > first + 1e-6 then
    region.item = reaper.SplitMediaItem(region.item, from) or region.item   -- what lies to the right of it
    region.take = reaper.GetActiveTake(region.item)
  end
end

local function place(job)
  local region = job.region
  if not reaper.ValidatePtr2(0, region.item, "MediaItem*") or not reaper.ValidatePtr2(0, region.take, "MediaItem_Take*") then
    fail("The item is gone. The stem is here:\n" .. table.concat(job.stems, "\n"))
  end
  reaper.Undo_BeginBlock()
  reaper.PreventUIRefresh(1)
  local ok, problem = pcall(function()
    narrow(region)
    local take
    for _, path in ipairs(job.stems) do take = add_take(region, path, job.text) end
    if take then reaper.SetActiveTake(take) end
  end)
  reaper.PreventUIRefresh(-1)
  reaper.UpdateArrange()
  reaper.Undo_EndBlock("Retimbre: " .. job.text, -1)   -- also after a failure, or REAPER's undo would stay open
  if not ok then error(problem, 0) end
end

-- ---------------------------------------------------------------- while it runs

local function show(job)
  local width = gfx.w - 20
  gfx.set(0.16, 0.16, 0.18)
  gfx.rect(0, 0, gfx.w, gfx.h, 1)
  gfx.set(0.35, 0.35, 0.4)
  gfx.rect(10, 36, width, WINDOW.bar, 1)
  gfx.set(0.95, 0.6, 0.2)
  gfx.rect(10, 36, width * math.max(0, job.fraction), WINDOW.bar, 1)
  gfx.set(0.9, 0.9, 0.9)
  gfx.x, gfx.y = 10, 12
  gfx.drawstr(("%s: %s   (Esc cancels)"):format(job.text, job.stage))
  gfx.update()
end

local function tell(problem)
  gfx.quit()
  reaper.ShowMessageBox(type(problem) == "table" and problem.message or tostring(problem), TITLE, 0)
end

local function guarded(action)
  return function(...)
    local ok, problem = pcall(action, ...)
    if not ok then tell(problem) end
  end
end

local look

local function look_again(job) reaper.defer(guarded(function() look(job) end)) end

look = function(job)
  local now = reaper.time_precise()
  local key = gfx.getchar()
  if key == 27 or key == -1 then cancel(job) end       -- Esc, or the window was closed
  if now - job.looked < POLL_SECONDS then return look_again(job) end
  job.looked = now
  local ending, rest = read_log(job)
  if ending == "done" then
    gfx.quit()
    return place(job)
  elseif ending == "fail" then
    if rest:match("^cancelled") then return gfx.quit() end
    fail(rest)
  elseif job.stage == "starting" and job.fraction < 0 and now - job.began > START_SECONDS then
    cancel(job)
    fail("Nothing was heard from retimbre for a minute. `retimbre doctor` says what is wrong.")
  end
  show(job)
  look_again(job)
end

local function main()
  local region = selected_region()
  local command = program()
  if not command then return end
  local style = ask_style(command)
  if not style then return end
  local wishes = ask(style)
  if not wishes then return end
  local job = start(region, wishes, command)
  gfx.init(TITLE, WINDOW.width, WINDOW.height)
  look(job)
end

guarded(main)()
