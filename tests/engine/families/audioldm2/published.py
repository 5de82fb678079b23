"""The published configurations of AudioLDM2 (cvssp/audioldm2, -large, -music), in part."""

_UNET = {
    "sample_size": 256,
    "in_channels": 8,
    "out_channels": 8,
    "layers_per_block": 2,
    "attention_head_dim": 8,
    "block_out_channels": (128, 256, 384, 640),
    "norm_num_groups": 32,
    "use_linear_projection": False,
    "down_block_types": ("DownBlock2D", *["CrossAttnDownBlock2D"] * 3),
    "up_block_types": (*["CrossAttnUpBlock2D"] * 3, "UpBlock2D"),
    "mid_block_type": "UNetMidBlock2DCrossAttn",
}
UNET_BASE = {
    **_UNET,
    "cross_attention_dim": [[None, 768, 1024]] * 4,
    "transformer_layers_per_block": 1,
}
UNET_LARGE = {
    **_UNET,
    "cross_attention_dim": [[None, 768, 1024, None]] * 4,
    "transformer_layers_per_block": 2,
}

SCHEDULER = {
    "num_train_timesteps": 1000,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.0015,
    "beta_end": 0.0195,
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "timestep_spacing": "leading",
    "prediction_type": "epsilon",
}

MODEL_INDEX = {
    "_class_name": "AudioLDM2Pipeline",
    "feature_extractor": ["transformers", "ClapFeatureExtractor"],
    "language_model": ["transformers", "GPT2Model"],
    "projection_model": ["audioldm2", "AudioLDM2ProjectionModel"],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "ClapModel"],
    "text_encoder_2": ["transformers", "T5EncoderModel"],
    "tokenizer": ["transformers", "RobertaTokenizerFast"],
    "tokenizer_2": ["transformers", "T5TokenizerFast"],
    "unet": ["audioldm2", "AudioLDM2UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "vocoder": ["transformers", "SpeechT5HifiGan"],
}
