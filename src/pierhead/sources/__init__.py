"""Where weights come from: `weights` answers with files or with what they are waiting for."""
