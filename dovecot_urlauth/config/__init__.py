"""From Dovecot's configuration to one stage's or one target user's settings, step by step.

wanted.py             which part of the configuration a stage asks for
read.py               from the config process (ask.py), else by running doveconf (run_doveconf.py)
flatten.py            2.4: the parsed file, filtered for one protocol and service
settings.py           the result: text by key, and Dovecot's notations for the other types
language.py           the two configuration languages behind one interface:
                      language_2_3.py with variables_2_3.py, language_2_4.py with variables_2_4.py
overrides.py          what the userdb sets for one user
driver_defaults.py    2.4: what a mail driver and a layout bring along
account.py            who the target user is, from the userdb's answer and the settings (mail_user.py)
plugins.py            what each plugin does to a reader
known.py              what each setting of lib-storage means to the native store
mail_location.py      where a namespace's mail is
native_settings.py    what the native store needs to know, or the reason why it cannot serve
engine_config.py      2.4: the configuration that Dovecot's own imap gets
"""
