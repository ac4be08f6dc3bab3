# SPDX-License-Identifier: Apache-2.0
"""dynamo.nixl_connect, served by nixl_connect, where ai-dynamo is not installed."""

from typing import TYPE_CHECKING

from nixl_connect._dynamo_names import *  # noqa: F403
from nixl_connect._dynamo_names import __all__ as __all__
from nixl_connect._dynamo_names import logger as logger

if TYPE_CHECKING:
    from nixl_connect import *  # noqa: F403
    from nixl_connect._modules import array_module as array_module
    from nixl_connect._modules import nixl_api as nixl_api
    from nixl_connect._modules import nixl_bindings as nixl_bindings
else:
    from nixl_connect._dynamo_names import __getattr__ as __getattr__
