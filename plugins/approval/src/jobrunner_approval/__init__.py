"""Asks approvers for their word by mail and WhatsApp: the queue approval.notify."""
