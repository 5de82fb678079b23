"""Audio on its way in and out: which file, is it complete, uploads, downloads."""
