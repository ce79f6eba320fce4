"""``python -m dovecot_urlauth.admin``"""

import sys

from dovecot_urlauth.admin.main import main

sys.exit(main())
