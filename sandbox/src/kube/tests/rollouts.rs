//! The model, where something must react: checked against what the recordings show of the same situation.
