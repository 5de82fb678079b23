ardour {
  ["type"] = "EditorAction",
  name = "Retimbre",
  license = "Apache-2.0",
  author = "retimbre",
  description = [[Turn the selected audio region, or the part of it in the range selection, into another sound.
The stem comes onto a new track at the same sample. Needs the program `retimbre` (retimbre doctor tells whether it works).]]
}

-- Ardour's scripts have no sockets, so this one starts `retimbre job NAME` and reads NAME.log until that says how the job
-- went. The words travel in a file: no shell ever sees them.
--
-- Rule: Ardour keeps only the compiled factory, so all helpers live inside it.

function factory() return function()
  local POLL_SECONDS = 0.1
  local START_SECONDS = 60                     -- a cold disk may need half of that until the first line of the log
  local BLOCK = 8192                           -- samples read at once

  local function fail(message) error({message = message}, 0) end

  -- ------------------------------------------------------------ what was asked for last, in Ardour's own settings

  local function settings_path() return ARDOUR.user_config_directory(-1) .. "/retimbre" end

  local function remembered()
    local values = {text = "turn this into a violin", preset = "", seed = "-1", program = ""}
    local file = io.open(settings_path(), "r")
    if file then
      for line in file:lines() do
        local key, value = line:match("^(%S+) (.*)$")
        if key then values[key] = value end
      end
      file:close()
    end
    return values
  end

  local function remember(values)
    local file = io.open(settings_path(), "w")
    if not file then return end                -- then it asks for the program again; nothing else is lost
    for _, key in ipairs({"text", "preset", "seed", "program"}) do file:write(key, " ", tostring(values[key]), "\n") end
    file:close()
  end

  local function ask()
    local last = remembered()
    return LuaDialog.Dialog("Retimbre", {
      {type = "entry", key = "text", title = "What to do, in words", default = last.text},
      {type = "entry", key = "preset", title = "Style (or: harp 0.7 choir 0.3)", default = last.preset},
      {type = "entry", key = "seed", title = "Seed (-1: any)", default = last.seed},
      {type = "file", key = "program", title = "The program retimbre", path = last.program},
    }):run()
  end

  -- ------------------------------------------------------------ the region

  -- The first selected audio region, cut to the range selection where one crosses it. Samples.
  local function selected_region()
    local selection = Editor:get_selection()
    for region in selection.regions:regionlist():iter() do
      local audio = region:to_audioregion()
      if not audio:isnil() then
        local first = region:position():samples()
        local last = first + region:length():samples()
        local time = selection.time
        if not time:empty() and time:start_sample() < last and time:end_sample() > first then
          first, last = math.max(first, time:start_sample()), math.min(last, time:end_sample())
        end
        return {audio = audio, first = first, offset = first - region:position():samples(), frames = last - first}
      end
    end
    fail("Select an audio region first; a range selection over it narrows it.")
  end

  -- A WAV file of 32-bit floats, as the region stands in its sources: without fades, envelope and gain, which the new
  -- region gets a say in again. Ardour keeps one file per channel, so the region has no file of its own to send.
  local function export(region, path)
    local channels, rate = region.audio:n_channels(), math.floor(Session:nominal_sample_rate() + 0.5)
    local file = io.open(path, "wb")
    if not file then fail(path .. " cannot be written.") end
    local bytes = region.frames * channels * 4
    file:write(string.pack("<c4I4c4c4I4I2I2I4I4I2I2c4I4", "RIFF", 36 + bytes, "WAVE", "fmt ", 16, 3, channels, rate,
                           rate * channels * 4, channels * 4, 32, "data", bytes))
    local memory = ARDOUR.DSP.DspShm(BLOCK)
    local buffer, readable = memory:to_float(0), region.audio:to_readable()
    for done = 0, region.frames - 1, BLOCK do
      local count = math.min(BLOCK, region.frames - done)
      local samples = {}
      for channel = 0, channels - 1 do
        if readable:read(buffer, region.offset + done, count, channel) ~= count then
          file:close()
          fail("Ardour could not read the region.")
        end
        local values = buffer:get_table(count)
        for index = 1, count do samples[(index - 1) * channels + channel + 1] = string.pack("<f", values[index]) end
      end
      file:write(table.concat(samples))
    end
    file:close()
  end

  -- ------------------------------------------------------------ the job

  local function free_name(folder)
    for number = 1, math.huge do
      local name = folder .. "/retimbre-" .. number
      local file = io.open(name .. ".request", "r")
      if not file then return name end
      file:close()
    end
  end

  local function start(region, wishes)
    local name = free_name(Session:path() .. "/export")
    export(region, name .. "-region.wav")
    local tempo = Temporal.TempoMap.read():tempo_at(Temporal.timepos_t(region.first)):quarter_notes_per_minute()
    local file = io.open(name .. ".request", "w")
    if not file then fail(name .. ".request cannot be written.") end
    file:write("audio ", name, "-region.wav\ntext ", wishes.text, "\noutput ", name, ".wav\n",
               ("tempo %.6f\n"):format(tempo))
    for _, key in ipairs({"preset", "seed"}) do
      if wishes[key]:match("%S") then file:write(key, " ", wishes[key], "\n") end
    end
    file:close()
    os.forkexec(wishes.program, "job", name)
    return {name = name, fraction = -1, stage = "starting", stems = {}}
  end

  local function read_log(job)
    local file = io.open(job.name .. ".log", "r")
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

  -- Wait for its end with a window that shows progress and has a cancel button. Returns false if it was cancelled.
  local function wait(job)
    local window = LuaDialog.ProgressWindow("Retimbre", true)
    local waited, is_cancelled = 0, false
    local ending, rest
    repeat
      ARDOUR.LuaAPI.usleep(POLL_SECONDS * 1e6)
      waited = waited + POLL_SECONDS
      ending, rest = read_log(job)
      if window:progress(math.max(0, job.fraction), job.stage) and not is_cancelled then
        is_cancelled = true
        local file = io.open(job.name .. ".cancel", "w")
        if file then file:close() end
      end
    until ending or (job.stage == "starting" and waited > START_SECONDS)
    window:done()
    if ending == "done" then return true end
    if ending == "fail" and rest:match("^cancelled") then return false end
    fail(rest or "Nothing was heard from retimbre for a minute. `retimbre doctor` says what is wrong.")
  end

  -- ------------------------------------------------------------ back into the session

  -- New tracks for the stems, at the region's own sample; as loud as the region is set.
  local function place(job, region, wishes)
    local before = {}
    for route in Session:get_tracks():iter() do before[route:to_stateful():id():to_s()] = true end
    local files = C.StringVector()
    for _, path in ipairs(job.stems) do files:push_back(path) end
    local names = ARDOUR.MidiTrackNameSource    -- of MIDI files; its values have other names since Ardour 8
    Editor:do_import(files, Editing.ImportDistinctFiles, Editing.ImportAsTrack, ARDOUR.SrcQuality.SrcBest,
                     names.SMFTrackName or names.SMFFileAndTrackName, ARDOUR.MidiTempoMapDisposition.SMFTempoIgnore,
                     Temporal.timepos_t(region.first), ARDOUR.PluginInfo(), ARDOUR.Track(), false)
    local count = 0
    for route in Session:get_tracks():iter() do
      if not before[route:to_stateful():id():to_s()] then
        count = count + 1
        for new in route:to_track():playlist():region_list():iter() do
          new:to_audioregion():set_scale_amplitude(region.audio:scale_amplitude())
        end
      end
    end
    if count == 0 then fail("Ardour did not import the stem. It is here:\n" .. table.concat(job.stems, "\n")) end
  end

  local function main()
    if not (io and os and os.forkexec) then
      fail("Scripts may not start programs here: switch the sandbox off in Preferences > Scripting.")
    end
    local region = selected_region()
    local wishes = ask()
    if not wishes then return end
    if not wishes.text:match("%S") then fail("Say in words what to do.") end
    remember(wishes)
    local job = start(region, wishes)
    if wait(job) then place(job, region, wishes) end
  end

  local ok, problem = pcall(main)
  if not ok then
    local message = type(problem) == "table" and problem.message or tostring(problem)
    LuaDialog.Message("Retimbre", message, LuaDialog.MessageType.Error, LuaDialog.ButtonType.Close):run()
  end
  collectgarbage()
end end
