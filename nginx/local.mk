# The nginx configuration.
