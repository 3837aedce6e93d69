"""The order of the stages: plans and the steps that call them."""
