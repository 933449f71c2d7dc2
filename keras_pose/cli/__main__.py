"""`python -m keras_pose.cli` is `keras-pose`."""

import sys

from keras_pose.cli import main

sys.exit(main())
