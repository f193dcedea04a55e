# The nginx configuration: snippets for an existing server, a whole site, and what ./run uses.
nginxdir = $(pkgdatadir)/nginx
dist_nginx_DATA = \
	nginx/helpline.conf \
	nginx/helpline-fastcgi.conf \
	nginx/helpline-front.conf \
	nginx/helpline-headers.conf \
	nginx/helpline-health.conf \
	nginx/helpline-http.conf \
	nginx/helpline-images.conf \
	nginx/helpline-locations.conf \
	nginx/helpline-origins.conf \
	nginx/helpline-problems.conf \
	nginx/helpline-pushd.conf \
	nginx/helpline-security.conf \
	nginx/helpline-sound.conf \
	nginx/helpline-upload.conf \
	nginx/helpline-upstreams.conf \
	nginx/helpline-voice.conf \
	nginx/run.conf.in
