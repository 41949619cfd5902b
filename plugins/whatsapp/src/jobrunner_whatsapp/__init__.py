"""Sends WhatsApp messages through the Cloud API: the queue whatsapp-messages."""
