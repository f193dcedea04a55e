# The nginx configuration: snippets for an existing server, a whole site, and what ./run uses.
nginxdir = $(pkgdatadir)/nginx
dist_nginx_DATA = \
	nginx/helpline-answers.conf \
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
nodist_nginx_DATA = nginx/helpline-prefix.conf
examplesdir = $(nginxdir)/examples
dist_examples_DATA = \
	nginx/examples/behind-proxy.conf \
	nginx/examples/prefix.conf \
	nginx/examples/tls.conf \
	nginx/examples/two-hosts.conf
sharedhostingdir = $(nginxdir)/shared-hosting
dist_sharedhosting_DATA = \
	nginx/shared-hosting/README.md \
	nginx/shared-hosting/crontab \
	nginx/shared-hosting/helpline.conf
dist_sharedhosting_SCRIPTS = nginx/shared-hosting/keep-running
EXTRA_DIST += nginx/helpline-prefix.conf.in nginx/README.md
CLEANFILES += $(nodist_nginx_DATA)

# The same routes, below an internal location; what programs are told of it comes first, and counts.
nginx/helpline-prefix.conf: nginx/helpline-locations.conf nginx/helpline-prefix.conf.in nginx/local.mk
	$(AM_V_GEN)$(MKDIR_P) $(@D) && sed -E -e '1,/^$$/d' -e '/\/_helpline\//!s,^(\s*location ([=~]|\^~)? ?"?\^?)/,\1/_helpline/,' \
	    -e 's,^(\s*)(include /etc/nginx/helpline/helpline-(fastcgi|health)\.conf;),\1fastcgi_param DOCUMENT_URI $$helpline_route;\n\t\1\2,' \
	    -e 's,^.,\t&,' $(srcdir)/nginx/helpline-locations.conf >$@.routes && \
	    sed -e '/@ROUTES@/{' -e 'r $@.routes' -e 'd' -e '}' $(srcdir)/nginx/helpline-prefix.conf.in >$@ && rm $@.routes
