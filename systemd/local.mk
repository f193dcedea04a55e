# systemd: the programs' units, the user, the folders. What the units have in common is in run.in and sandbox.in.
UNITS_MADE = \
	systemd/helpline-auth.socket systemd/helpline-auth@.service \
	systemd/helpline-chat.socket systemd/helpline-chat@.service \
	systemd/helpline-desk.socket systemd/helpline-desk@.service \
	systemd/helpline-events.socket systemd/helpline-events@.service \
	systemd/helpline-health.socket systemd/helpline-health@.service \
	systemd/helpline-pushd@.socket systemd/helpline-pushd@.service \
	systemd/helpline-sweep.service
UNIT_PARTS = systemd/run.in systemd/sandbox.in
dist_systemdsystemunit_DATA = systemd/helpline.target systemd/helpline-sweep.timer
nodist_systemdsystemunit_DATA = $(UNITS_MADE)
EXTRA_DIST += $(UNITS_MADE:=.in) $(UNIT_PARTS) systemd/sysusers.conf systemd/tmpfiles.conf.in systemd/prometheus/helpline.rules.test.yml

# Alerts, for who has Prometheus.
prometheusdir = $(pkgdatadir)/prometheus
dist_prometheus_DATA = systemd/prometheus/helpline.rules.yml
CLEANFILES += $(UNITS_MADE) systemd/tmpfiles.conf

make_unit = $(MKDIR_P) systemd && sed \
	-e '/^@RUN@$$/{' -e 'r $(srcdir)/systemd/run.in' -e 'd' -e '}' \
	-e '/^@SANDBOX@$$/{' -e 'r $(srcdir)/systemd/sandbox.in' -e 'd' -e '}' $(srcdir)/$@.in | sed \
	-e 's|@pkglibexecdir[@]|$(pkglibexecdir)|g' -e 's|@bindir[@]|$(bindir)|g' -e 's|@sysconfdir[@]|$(sysconfdir)|g' \
	-e 's|@nginx_group[@]|$(nginx_group)|g' >$@.new && mv $@.new $@
$(UNITS_MADE) systemd/tmpfiles.conf: $(UNIT_PARTS) Makefile
	$(AM_V_GEN)$(make_unit)
systemd/helpline-auth.socket: systemd/helpline-auth.socket.in
systemd/helpline-auth@.service: systemd/helpline-auth@.service.in
systemd/helpline-chat.socket: systemd/helpline-chat.socket.in
systemd/helpline-chat@.service: systemd/helpline-chat@.service.in
systemd/helpline-desk.socket: systemd/helpline-desk.socket.in
systemd/helpline-desk@.service: systemd/helpline-desk@.service.in
systemd/helpline-events.socket: systemd/helpline-events.socket.in
systemd/helpline-events@.service: systemd/helpline-events@.service.in
systemd/helpline-health.socket: systemd/helpline-health.socket.in
systemd/helpline-health@.service: systemd/helpline-health@.service.in
systemd/helpline-pushd@.socket: systemd/helpline-pushd@.socket.in
systemd/helpline-pushd@.service: systemd/helpline-pushd@.service.in
systemd/helpline-sweep.service: systemd/helpline-sweep.service.in
systemd/tmpfiles.conf: systemd/tmpfiles.conf.in

all-local: systemd/tmpfiles.conf
install-data-local: install-systemd
uninstall-local: uninstall-systemd
# Their names where they are installed are the package's.
install-systemd: systemd/tmpfiles.conf
	$(MKDIR_P) "$(DESTDIR)$(sysusersdir)" "$(DESTDIR)$(tmpfilesdir)"
	$(INSTALL_DATA) $(srcdir)/systemd/sysusers.conf "$(DESTDIR)$(sysusersdir)/helpline.conf"
	$(INSTALL_DATA) systemd/tmpfiles.conf "$(DESTDIR)$(tmpfilesdir)/helpline.conf"
uninstall-systemd:
	rm -f "$(DESTDIR)$(sysusersdir)/helpline.conf" "$(DESTDIR)$(tmpfilesdir)/helpline.conf"
.PHONY: install-systemd uninstall-systemd
