"""Live audio: what was just played becomes a region, and its stem is played in time.

     DAW ──loopback──► input ─► Ring ──last bars──► file in the spool ─► an ordinary job ─► stem
                                                                                             │
     monitors ◄───── output ◄─ Player ◄──────────────── next bar line ◄────────────────────────┘

PortAudio and its drivers live in a child process (`server.live.process`), for three reasons. A
driver that crashes or hangs costs live audio and not the server. The audio callback shares its
interpreter lock with no other work. PortAudio sees devices that were plugged in later only when it
is initialised anew, which a new process does by itself. The server's side (`server.live.session`)
imports neither numpy nor sounddevice.

Threads of the child, and what each may do:

* callback: PortAudio's. Copies input into the ring and sounds into the output, and counts. It
  allocates no audio memory, takes no lock, waits for nobody, and writes no log. Python's own small
  objects cannot be avoided.
* main: reads one request a line and answers it. May block: the ring remembers meanwhile.
* watch: looks twice a second whether sound was lost or the device is gone, and reports it.

Time is counted in frames of the input stream. A clock is read once, where a /live/transport message
becomes a frame.
"""

PORTAUDIO_CURES = {"Linux": "sudo apt install libportaudio2", "Darwin": "brew install portaudio"}
