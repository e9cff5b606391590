"""Where models are made: data, nets, training, export, evaluation. Nothing here runs on stage."""
