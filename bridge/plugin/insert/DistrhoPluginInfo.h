// What DPF wants to know at compile time.
#pragma once

#define DISTRHO_PLUGIN_BRAND "stemd"
#define DISTRHO_PLUGIN_NAME "stemd Insert"
#define DISTRHO_PLUGIN_URI "urn:stemd:insert"
#define DISTRHO_PLUGIN_CLAP_ID "stemd.insert"
#define DISTRHO_PLUGIN_BRAND_ID stmd
#define DISTRHO_PLUGIN_UNIQUE_ID stIn

#define DISTRHO_PLUGIN_HAS_UI 0
#define DISTRHO_PLUGIN_IS_RT_SAFE 1
#define DISTRHO_PLUGIN_IS_SYNTH 0
#define DISTRHO_PLUGIN_NUM_INPUTS 2
#define DISTRHO_PLUGIN_NUM_OUTPUTS 8
#define DISTRHO_PLUGIN_WANT_LATENCY 1
#define DISTRHO_PLUGIN_WANT_STATE 1
#define DISTRHO_PLUGIN_WANT_FULL_STATE 1

#define DISTRHO_PLUGIN_CLAP_FEATURES "audio-effect", "utility", "stereo"
#define DISTRHO_PLUGIN_LV2_CATEGORY "lv2:UtilityPlugin"
#define DISTRHO_PLUGIN_VST3_CATEGORIES "Fx|Tools"
