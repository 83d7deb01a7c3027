"""The theme: one accent colour, cool greys, thin lines instead of shadows, system fonts, and a light and a dark variant."""

from __future__ import annotations

import gradio as gr
from gradio.themes.utils import sizes

ACCENT = gr.themes.Color(
    name="mindcubes", c50="#eefaf6", c100="#d5f2e8", c200="#ade4d2", c300="#79cfb6", c400="#45b295", c500="#1f9679",
    c600="#0f7a61", c700="#0d6250", c800="#0d4e41", c900="#0c4036", c950="#052620")
GREY = gr.themes.Color(
    name="mindcubes-grey", c50="#f8f9f8", c100="#f0f2f1", c200="#e1e5e3", c300="#c9cfcc", c400="#98a19d", c500="#68726d",
    c600="#4d5652", c700="#363d3a", c800="#242a27", c900="#191d1b", c950="#101312")
FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "PingFang SC", "Microsoft YaHei", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Liberation Mono", "monospace")
RADIUS = sizes.Size(name="mindcubes", xxs="4px", xs="6px", sm="8px", md="10px", lg="10px", xl="14px", xxl="18px")


def build_theme() -> gr.themes.Base:
    return gr.themes.Base(
        primary_hue=ACCENT, secondary_hue=ACCENT, neutral_hue=GREY, radius_size=RADIUS, spacing_size=sizes.spacing_md,
        text_size=sizes.text_md, font=FONT, font_mono=MONO,
    ).set(
        body_background_fill="#fbfcfb", body_background_fill_dark="*neutral_950",
        body_text_color="*neutral_900", body_text_color_dark="#e4e8e6",
        body_text_color_subdued="*neutral_500", body_text_color_subdued_dark="*neutral_400",
        background_fill_primary="#ffffff", background_fill_primary_dark="*neutral_900",
        background_fill_secondary="*neutral_50", background_fill_secondary_dark="*neutral_950",
        border_color_primary="*neutral_200", border_color_primary_dark="#2b322f",
        color_accent="*primary_600", color_accent_soft="*primary_50", color_accent_soft_dark="*primary_950",
        block_border_width="0px", block_background_fill="transparent", block_background_fill_dark="transparent",
        block_shadow="none", block_padding="0px", block_title_text_weight="500", block_title_text_size="13px",
        block_title_text_color="*body_text_color", block_title_text_color_dark="*body_text_color",
        block_info_text_color="*body_text_color_subdued", block_info_text_color_dark="*body_text_color_subdued",
        input_background_fill="#ffffff", input_background_fill_dark="*neutral_900", input_border_width="1px",
        input_border_color="*neutral_300", input_border_color_dark="#3a423e", input_border_color_focus="*primary_600",
        input_border_color_focus_dark="*primary_400", input_shadow="none", input_shadow_focus="none",
        input_placeholder_color="*neutral_500", input_placeholder_color_dark="*neutral_400",
        button_primary_background_fill="*primary_600", button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600", button_primary_background_fill_hover_dark="*primary_700",
        button_primary_text_color="#ffffff", button_primary_text_color_dark="#ffffff",
        button_secondary_background_fill="transparent", button_secondary_background_fill_dark="transparent",
        button_secondary_background_fill_hover="*neutral_100", button_secondary_background_fill_hover_dark="*neutral_800",
        button_secondary_border_color="*neutral_300", button_secondary_border_color_dark="#3a423e",
        button_secondary_text_color="*body_text_color", button_secondary_text_color_dark="*body_text_color",
        button_cancel_background_fill="*neutral_900", button_cancel_background_fill_hover="*neutral_700",
        button_cancel_background_fill_dark="*neutral_100", button_cancel_background_fill_hover_dark="#ffffff",
        button_cancel_text_color="#ffffff", button_cancel_text_color_dark="*neutral_950",
        button_border_width="1px", button_transition="background-color 0.12s, border-color 0.12s",
        checkbox_border_radius="4px", slider_color="*primary_600", slider_color_dark="*primary_500",
        button_small_text_size="14px", button_small_text_weight="500", button_small_padding="4px 12px", layout_gap="0px",
        form_gap_width="0px", chatbot_text_size="15px", code_background_fill="*neutral_100",
        code_background_fill_dark="*neutral_800",
    )
