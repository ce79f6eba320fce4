"""Every setting of lib-storage, and what it means to the native store: understood, irrelevant, or only if neutral.

A setting that is in none of the tables and begins like one of lib-storage's is one that we have never heard of;
it may change what is read.  Both languages share the tables, since no name means two things.
"""

from __future__ import annotations

from dovecot_urlauth.config.errors import UnsupportedSetting
from dovecot_urlauth.config.settings import is_yes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.config.settings import Settings

UNDERSTOOD = frozenset(
    """first_valid_gid first_valid_uid last_valid_gid last_valid_uid mail_access_groups mail_alt_path
    mail_attribute mail_attribute_dict mail_chroot mail_control_path mail_debug mail_driver mail_gid
    mail_home mail_inbox_path mail_index_path mail_location mail_path mail_plugins mail_uid
    mailbox_directory_name mailbox_directory_name_legacy mailbox_list_layout
    mailbox_list_normalize_names_to_nfc mailbox_list_storage_escape_char mailbox_list_utf8
    mailbox_list_visible_escape_char mailbox_root_directory_name
    maildir_broken_filename_sizes mail_max_lock_timeout mbox_lock_timeout mbox_min_index_size mbox_read_locks
    namespace valid_chroot_dirs""".split()
)
"""Settings whose every value is obeyed, or is found to be unsupported where it is used."""

IRRELEVANT = frozenset(
    """auth_socket_path base_dir dotlock_use_excl hostname layout_fs layout_imapdir layout_index layout_maildir++
    lock_method mail_alt_check mail_always_cache_fields mail_attachment_detection_options mail_attachment_dir
    mail_attachment_fs mail_attachment_hash mail_attachment_min_size mail_cache_fields
    mail_cache_max_header_name_length mail_cache_max_headers_count mail_cache_max_size mail_cache_min_mail_count
    mail_cache_path mail_cache_purge_continued_percentage mail_cache_purge_delete_percentage
    mail_cache_purge_header_continue_count mail_cache_purge_min_size mail_cache_record_max_size
    mail_cache_unaccessed_field_drop mail_ext_attachment mail_ext_attachment_hash mail_ext_attachment_min_size
    mail_ext_attachment_path mail_fsync mail_index_log2_max_age mail_index_log_rotate_max_size
    mail_index_log_rotate_min_age mail_index_log_rotate_min_size mail_index_private_path
    mail_index_rewrite_max_log_bytes mail_index_rewrite_min_log_bytes mail_log_prefix mail_max_keyword_length
    mail_max_userip_connections mail_never_cache_fields mail_plugin_dir mail_prefetch_count
    mail_privileged_group mail_save_crlf mail_server_admin mail_server_comment mail_shared_explicit_inbox
    mail_sort_max_read_count mail_temp_dir mail_temp_scan_interval mail_utf8_extensions
    mail_volatile_path mail_vsize_bg_after_count
    mailbox_idle_check_interval mailbox_list_drop_noselect mailbox_list_index
    mailbox_list_index_include_inbox mailbox_list_index_prefix mailbox_list_index_very_dirty_syncs
    mailbox_list_iter_from_index_dir mailbox_list_lost_mailbox_prefix mailbox_subscriptions_filename
    maildir maildir_copy_with_hardlinks maildir_empty_new maildir_stat_dirs maildir_very_dirty_syncs mbox
    mbox_dirty_syncs mbox_dotlock_change_timeout mbox_lazy_writes mbox_md5
    mbox_very_dirty_syncs mbox_write_locks mdbox mdbox_preallocate_space mdbox_rotate_interval
    mdbox_rotate_size mmap_disable pop3_uidl_format postmaster_address recipient_delimiter sdbox""".split()
)
"""Settings about writing, locking, caching, listing, logging and other drivers."""

NEUTRAL = {
    "mail_full_filesystem_access": "no",
    "mail_nfs_index": "no",
    "mail_nfs_storage": "no",
    "mailbox_list_validate_fs_names": "yes",
}
"""Settings of which the native store knows one value, Dovecot's default."""

NAMESPACE = frozenset(
    """alias_for disabled hidden ignore_on_failure inbox list location mailbox name order prefix separator
    subscriptions type""".split()
)
"""Settings of a namespace's own."""

MAILBOX = frozenset("auto autoexpunge autoexpunge_max_mails comment name notify_status special_use".split())
"""Settings of a mailbox's own that do not matter.  2.3's ``driver`` does."""

STORAGE_NAMES = ("mail_", "mailbox_", "maildir_")
"""What settings of lib-storage begin with, if they matter to where mail is."""

PLUGIN_NAMES = (
    "mail_compress_",
    "mail_crypt_",
    "mail_filter",
    "mail_log_",
    "mail_lua",
    "mail_replica",
    "mailbox_alias_",
)
"""What plugins' settings begin with; the list of plugins decides about them."""


def check_outside(settings: Settings) -> None:
    """Look at all settings outside blocks.  Raises UnsupportedSetting."""
    for key in settings:
        if "/" not in key:
            _check(key, settings.get(key))


def check_namespace(settings: Settings, block: str) -> None:
    """Look at all settings of one namespace.  Raises UnsupportedSetting."""
    path = f"namespace/{block}/"
    for key in settings:
        if key.startswith(path):
            name, slash, rest = key.removeprefix(path).partition("/")
            if slash and name == "mailbox":
                _check_mailbox(key, rest.rpartition("/")[2], settings.get(key))
            elif slash:
                raise UnsupportedSetting(f"{key} is set")
            elif name not in NAMESPACE:
                _check(name, settings.get(key))


def _check(name: str, value: str) -> None:
    if name in NEUTRAL:
        neutral = NEUTRAL[name]
        is_neutral = is_yes(value) == is_yes(neutral) if neutral else not value
        if not is_neutral:
            raise UnsupportedSetting(f"{name} is {value or 'blank'}")
    elif (
        name.startswith(STORAGE_NAMES)
        and not name.startswith(PLUGIN_NAMES)
        and name not in UNDERSTOOD
        and name not in IRRELEVANT
    ):
        raise UnsupportedSetting(f"{name} is not known")


def _check_mailbox(key: str, name: str, value: str) -> None:
    """A mailbox's own settings; one that is understood elsewhere would not be looked for there."""
    if name in UNDERSTOOD:
        raise UnsupportedSetting(f"{key} is set")
    if name not in MAILBOX and name not in IRRELEVANT:
        if name not in NEUTRAL:
            raise UnsupportedSetting(f"{key} is set")
        _check(name, value)
