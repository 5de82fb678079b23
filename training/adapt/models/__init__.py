"""Each family's model as a run wants it: clip -> features, batch -> loss, words -> sound.

nano.py            other instruments played by nano itself -> the clip
audioldm2.py       the noise in a clip's latent, under its words
musicgen.py        a clip's codes, under its words
flow.py            what the last two share: a rectified flow over latents
ace_step.py        ACE-Step 1.5
stable_audio_3.py  Stable Audio 3
"""
