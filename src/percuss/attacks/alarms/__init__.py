"""Tests of the model and of the attack itself: is the gradient any good, and does more effort still find more?"""
