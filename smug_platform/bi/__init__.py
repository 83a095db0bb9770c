"""What people look at: the dashboard page and the BI views as assets."""
