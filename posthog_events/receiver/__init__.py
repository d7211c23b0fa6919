"""Webhooks of PostHog, received: verified, kept, told apart and handed on."""
