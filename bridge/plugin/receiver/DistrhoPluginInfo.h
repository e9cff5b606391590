// What DPF wants to know at compile time.
#pragma once

#define DISTRHO_PLUGIN_BRAND "stemd"
#define DISTRHO_PLUGIN_NAME "stemd Receiver"
#define DISTRHO_PLUGIN_URI "urn:stemd:receiver"
#define DISTRHO_PLUGIN_CLAP_ID "stemd.receiver"
#define DISTRHO_PLUGIN_BRAND_ID stmd
#define DISTRHO_PLUGIN_UNIQUE_ID stRc

#define DISTRHO_PLUGIN_HAS_UI 0
#define DISTRHO_PLUGIN_IS_RT_SAFE 1
#define DISTRHO_PLUGIN_IS_SYNTH 0
#define DISTRHO_PLUGIN_NUM_INPUTS 0
#define DISTRHO_PLUGIN_NUM_OUTPUTS 8
#define DISTRHO_PLUGIN_WANT_LATENCY 0
#define DISTRHO_PLUGIN_WANT_STATE 1
#define DISTRHO_PLUGIN_WANT_FULL_STATE 1

// Some hosts offer sources among the instruments only, others among the effects only.
#define DISTRHO_PLUGIN_CLAP_FEATURES "instrument", "audio-effect", "utility", "stereo"
#define DISTRHO_PLUGIN_LV2_CATEGORY "lv2:GeneratorPlugin, lv2:InstrumentPlugin"
#define DISTRHO_PLUGIN_VST3_CATEGORIES "Fx|Instrument|Generator"
