"""Methods that look at a transformer's attention: who looked at which token, and to what effect."""
